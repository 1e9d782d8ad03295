// Package productimport brings many upserts into a catalog: it reads the lines of
// an input, or the elements of one JSON array, each as package productjson does,
// and upserts them in batches, of which one is written while the next is read. It
// is what "shelflife import" and the import page of the dashboard do.
//
//	in, err := productimport.NewReader(file)
//	if err != nil {
//		return err // no such input; nothing was written
//	}
//	m := productimport.New(cat, account, productimport.Options{Report: report})
//	for {
//		e, err := in.Next()
//		if err == io.EOF {
//			return m.Flush(ctx)
//		}
//		if err == nil {
//			err = m.Add(ctx, e)
//		}
//		if err != nil {
//			return errors.Join(err, m.Flush(ctx)) // of what was read before
//		}
//	}
//
// An entry that is refused does no harm to the others: it is reported with its
// faults. With Options.Preview nothing is written, and the reports say what would
// become of each entry.
package productimport
