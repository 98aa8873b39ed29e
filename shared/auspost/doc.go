// Package auspost is a client of Australia Post's Shipping & Tracking API v1, which
// also serves StarTrack accounts: it reads charge accounts, tracks parcels, and
// translates the answers into the service's own terms. It cites facts about the
// carrier from infra/docs/auspost.md by section.
//
// The carrier is assumed to be hostile: every read is bounded, no redirect is
// followed, and any body may come under any status. Of its free text only the snapshot
// of an account and the words of tracking leave the package.
package auspost
