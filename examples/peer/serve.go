package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
)

// serve runs the gateway.
func serve(context.Context, options, *slog.Logger, *aside, io.Writer) error {
	return errors.New("the gateway is not in this version yet")
}
