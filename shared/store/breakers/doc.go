// Package breakers keeps the breakers and tallies of carriers.
package breakers
