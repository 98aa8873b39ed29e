// Package secret holds text that must never be printed.
package secret
