package server

import (
	"github.com/packagefs/packagefs/context"
	"github.com/packagefs/packagefs/server/api"
)

// queryCheck checks the packages that the caller may attach to. The answer is kept
// until packages or context files change, and several callers wait for one check:
// however often it is asked, it costs the same.
func (ctl *control) queryCheck(q *inquiry) (any, error) {
	verdicts, err := ctl.contexts.Check(q.ctx, q.set, q.as, nil)
	if err != nil {
		return nil, err
	}
	rows := make([]api.CheckRow, len(verdicts))
	for i, v := range verdicts {
		rows[i] = checkRow(&v)
	}
	return rows, nil
}

func checkRow(v *context.Verdict) api.CheckRow {
	p := v.Package
	return api.CheckRow{Name: p.Name, Version: p.Version, Architecture: p.Architecture, OK: v.OK, Reason: v.Reason}
}
