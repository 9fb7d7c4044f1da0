package server

import stdcontext "context"

// A CheckRow says whether the context of one package resolves. Rows are ordered
// by name, then newest version first, then architecture.
type CheckRow struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	OK           bool   `json:"ok"`
	Reason       string `json:"reason,omitempty"` // why it does not
}

// queryCheck checks the packages that the caller may attach to. The answer is kept
// until packages or context files change, and several callers wait for one check:
// however often it is asked, it costs the same.
func (fs *FS) queryCheck(q *inquiry) (any, error) {
	verdicts, err := fs.contexts.Check(stdcontext.Background(), q.set, q.as, nil)
	if err != nil {
		return nil, err
	}
	rows := make([]CheckRow, len(verdicts))
	for i, v := range verdicts {
		rows[i] = CheckRow{v.Package.Name, v.Package.Version, v.Package.Architecture, v.OK, v.Reason}
	}
	return rows, nil
}
