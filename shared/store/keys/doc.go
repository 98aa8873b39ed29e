// Package keys keeps API keys and counts their use.
package keys
