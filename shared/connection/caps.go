package connection

// Caps bound what one merchant account may have and do, so that no caller fills
// the table or the vault. Zero caps nothing.
type Caps struct {
	Connections int // linked at a time
	Duplicates  int // connections that hold one account number, intents included
	// LinksPerDay is how many connections may be made in a day (UTC), and how many
	// unlinked: the vault keeps the secret of each for a week more.
	LinksPerDay int
}
