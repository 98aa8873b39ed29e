// Package views holds the bodies of /v1: how an account, a key, a carrier, a
// connection, a charge account and tracking look in requests and answers.
package views
