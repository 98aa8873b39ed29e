// Package connection links merchants' charge accounts. It has the connection, its states,
// its contract, the checks before a link, and Service, which implements every operation
// that calls a carrier about a charge account: link, change, roll back, verify, read and
// refresh; and unlink, following the account and the reconciler.
//
// Service keeps two stores consistent, the table and the vault. Whichever call a process
// dies after, a repeat or the reconciler finishes the work or undoes it. The row of a
// connection is authoritative: it names the secret before the secret is created and until
// it is deleted, and it names the current version of the secret, so that one write
// changes account number and credentials together. The labels in the vault are moved
// afterwards.
package connection
