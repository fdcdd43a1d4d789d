package caddymodule

import (
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// currentLog is a zap core that writes to the log of the config that runs now:
// what outlives a config must not keep its log, whose files are closed with it.
type currentLog struct {
	logger *atomic.Pointer[zap.Logger]
	fields []zapcore.Field
}

func newCurrentLog(first *zap.Logger) *currentLog {
	c := &currentLog{logger: new(atomic.Pointer[zap.Logger])}
	c.logger.Store(first)
	return c
}

// Enabled asks the current log.
func (c *currentLog) Enabled(l zapcore.Level) bool { return c.logger.Load().Core().Enabled(l) }

// With keeps fields for whichever log is current.
func (c *currentLog) With(fields []zapcore.Field) zapcore.Core {
	return &currentLog{c.logger, append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

// Check has the current log write the entry.
func (c *currentLog) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.logger.Load().Core().With(c.fields).Check(e, ce)
}

// Write writes to the current log.
func (c *currentLog) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.logger.Load().Core().With(c.fields).Write(e, fields)
}

// Sync flushes the current log.
func (c *currentLog) Sync() error { return c.logger.Load().Core().Sync() }

var _ zapcore.Core = (*currentLog)(nil)
