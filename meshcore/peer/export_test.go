package peer

// Known is how many segments the engine holds anything of.
func (e *Engine) Known() int { return len(e.list) }
