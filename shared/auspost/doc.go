// Package auspost is a client of Australia Post's Shipping & Tracking API v1,
// which also serves StarTrack accounts: it reads a charge account, tracks
// parcels, and says in the service's own terms what the answers mean. Facts about the carrier are
// cited from infra/docs/auspost.md by section.
//
// The carrier is taken to be hostile: every read is bounded, no redirect is
// followed, any body may come under any status, and nothing of its free text
// leaves the package but the snapshot of an account.
package auspost
