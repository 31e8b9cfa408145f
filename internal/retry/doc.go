// Package retry is the one place that knows which errors of etcd say that a request did not happen, which leave that open, and
// which will come again however often it is sent; and the one place that waits between two tries.
//
// Read-only requests can always be sent again unless the class is Never. A write can be sent again unchanged after DidNot; after
// Unknown only if it was built for that, since the first one may still be under way, and may be applied seconds later.
package retry
