// Package account holds merchant accounts, the partners that create them and
// their API keys: the types, and the rules that their fields have to meet.
package account
