package pebble

import "slices"

// countedLogs returns the logs that Pebble has begun and not removed, oldest first, up
// to the newest that it has counted among those in use. One that is just being begun is
// listed before Pebble counts it: with it in the list another would be taken for
// needless in its place, which recovery needs.
func (e *engine) countedLogs() []string {
	newest := e.newestLog.Load() // before the logs are listed, of which it is one then
	if newest == nil {
		return nil
	}
	logs := e.guard.Logs()
	return logs[:slices.Index(logs, *newest)+1]
}

// keepLogs keeps so many of those logs that Pebble needs no more, to be used again, and
// removes the others. The logs are what countedLogs has returned.
func (e *engine) keepLogs(logs []string, keep int) {
	// What is begun after logs was listed counts as in use below, so that of those
	// that are listed too many are taken to be so rather than too few. The other
	// way about, a log that was begun and flushed in between would not be counted,
	// and one that recovery needs would be removed for it.
	inUse := int(e.db.Metrics().WAL.Files)
	if spare := len(logs) - inUse; spare > 0 {
		e.guard.KeepLogs(logs[:spare], keep)
	}
}
