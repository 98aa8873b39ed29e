// Package trackcache keeps what carriers said of parcels, and counts the calls of
// carriers.
package trackcache
