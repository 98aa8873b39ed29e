package auth

// Known returns the number of keys whose windows are remembered.
func (a *Auth) Known() int { return len(a.windows.known) }
