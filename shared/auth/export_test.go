package auth

// Known is of how many keys the minutes are known.
func (a *Auth) Known() int { return len(a.windows.known) }
