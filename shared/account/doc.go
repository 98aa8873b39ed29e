// Package account holds merchant accounts, the partners that create them and their
// API keys: the types, the rules that their fields have to meet, the text form of
// keys, and Service, which implements every operation on them.
package account
