// Package accounts keeps accounts, partners, and what keeps emails and external ids
// unique.
package accounts
