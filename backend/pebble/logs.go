package pebble

import "slices"

// keepLogs keeps so many of the logs that Pebble needs no more, the oldest, to be
// written over, and removes the others.
func (e *engine) keepLogs(keep int) {
	// The newest that Pebble has counted among those in use, before the logs are listed,
	// of which it is one then. One that is just being begun is listed before Pebble
	// counts it: with it in the list another would be taken for needless in its place,
	// which recovery needs.
	newest := e.newestLog.Load()
	if newest == nil {
		return
	}
	logs := e.guard.Logs()
	logs = logs[:slices.Index(logs, *newest)+1]
	// What is begun after logs was listed counts as in use below, so that of those
	// that are listed too many are taken to be so rather than too few. The other
	// way about, a log that was begun and flushed in between would not be counted,
	// and one that recovery needs would be removed for it.
	inUse := int(e.db.Metrics().WAL.Files)
	if spare := len(logs) - inUse; spare > 0 {
		e.guard.KeepLogs(logs[:spare], keep)
	}
}
