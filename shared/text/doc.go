// Package text checks the text that callers send: lengths, invisible
// characters, metadata.
package text
