// Package tracking turns what a carrier says of a parcel into numbers, statuses,
// places and articles.
package tracking
