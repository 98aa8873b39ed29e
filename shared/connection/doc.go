// Package connection links merchants' charge accounts. It holds the connection,
// its states, its contract and the checks before a link, and Service, which
// implements every operation that calls a carrier about a charge account: link,
// change, roll back, verify, read, refresh, and the reconciler.
//
// Service keeps two stores in step, the table and the vault. Whatever call the
// process dies after, a repeat or the reconciler finishes the work or undoes it.
// The row of a connection is the truth: it names the secret before there is one and
// after it is gone, and it names the version of the secret that counts, so that
// account number and credentials change together, in one write. The labels of the
// vault follow the row.
package connection
