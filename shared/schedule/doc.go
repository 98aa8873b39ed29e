// Package schedule checks the connections that are due. The Dispatcher finds them
// every minute and puts a message for each into a queue; the Worker takes the
// messages and makes the checks. The table knows what is due, the queue only
// carries it: a message that is lost is sent again, and one too many does nothing.
package schedule
