package server

import (
	"fmt"
	"syscall"

	"github.com/packagefs/packagefs/server/api"
)

// queryVerify reads packages from the disk again, which costs as much as they are
// large: only administrators may ask for it.
func (ctl *control) queryVerify(q *inquiry) (any, error) {
	if err := ctl.forAdmins(q); err != nil {
		return nil, err
	}
	v, at, err := ctl.selected(q)
	if err != nil {
		return nil, err
	}
	rows := []api.VerifyRow{}
	for _, i := range at {
		p := v.Packages[i]
		damages, err := p.Verify(q.ctx)
		if err != nil {
			return nil, err
		}
		row := api.VerifyRow{Package: p.Ref.String(), Architecture: p.Architecture, OK: len(damages) == 0, Damaged: len(damages)}
		if len(damages) > 0 {
			row.Reason = damages[0].Reason
			if damages[0].Path != "" {
				row.Path = "/" + damages[0].Path
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// forAdmins refuses a query of anybody else.
func (ctl *control) forAdmins(q *inquiry) error {
	if !ctl.isAdmin(q.as) {
		return fmt.Errorf("this is for administrators: %w", syscall.EACCES)
	}
	return nil
}

// repair makes what is unpacked of packages again.
func (v *invocation) repair() error {
	for _, selector := range v.args {
		ps, err := selected(v.control.packages.Set(), selector)
		if err != nil {
			return err
		}
		for _, p := range ps {
			if err := v.control.packages.Repair(p); err != nil {
				return fmt.Errorf("%s: %w", p.Ref, err)
			}
			v.printf("%s is made again from %s\n", p.Ref, oneLine(p.File))
		}
	}
	return v.settle()
}
