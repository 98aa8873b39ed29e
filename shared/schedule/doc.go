// Package schedule checks the connections that are due. The Dispatcher finds them
// every minute and sends a message for each to a queue; the Worker receives the
// messages and makes the checks. The table decides what is due, the queue only
// transports it: a lost message is sent again, and a duplicate does nothing.
package schedule
