package p9l

import (
	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"

	"github.com/packagefs/packagefs/server/p9l/wire"
)

// attrMask takes the bits of Tgetattr apart.
func attrMask(m uint64) p9.AttrMask {
	return p9.AttrMask{
		Mode: m&0x1 != 0, NLink: m&0x2 != 0, UID: m&0x4 != 0, GID: m&0x8 != 0, RDev: m&0x10 != 0,
		ATime: m&0x20 != 0, MTime: m&0x40 != 0, CTime: m&0x80 != 0, INo: m&0x100 != 0,
		Size: m&0x200 != 0, Blocks: m&0x400 != 0,
		BTime: m&0x800 != 0, Gen: m&0x1000 != 0, DataVersion: m&wire.DataVersionMask != 0,
	}
}

// extraMask returns the bits of m that are not in basicMask.
func extraMask(m *p9.AttrMask) (bits uint64) {
	if m.BTime {
		bits |= 0x800
	}
	if m.Gen {
		bits |= 0x1000
	}
	if m.DataVersion {
		bits |= wire.DataVersionMask
	}
	return bits
}

func tgetattr(r *request) error {
	d := wire.Decode(r.body)
	id, mask := d.U32(), d.U64()
	return r.onFid(&d, id, func(f *fid) error {
		if !r.mayCall(f.file) {
			return errLater
		}
		var stamp uint64
		if s, ok := f.file.(Stamper); ok && mask&wire.StampMask != 0 {
			// Before the attributes: they are not older than it.
			var err error
			if stamp, err = s.Stamp(r.wait); !r.wait && mustWait(err) {
				return errLater
			}
		}
		qid, valid, attr, err := f.file.GetAttr(attrMask(mask&wire.AllMask | wire.BasicMask))
		if err != nil {
			return err
		}
		told := wire.BasicMask | extraMask(&valid)&mask
		if stamp != 0 {
			told |= wire.StampMask
			attr.DataVersion = stamp
		}
		if !valid.NLink {
			attr.NLink = 1
		}
		r.begin(8 + wire.QIDSize + 4*3 + 8*15)
		r.out = le.AppendUint64(r.out, told)
		r.out = wire.AppendAttr(wire.AppendQID(r.out, qid), &attr)
		return nil
	})
}

func tsetattr(r *request) error {
	d := wire.Decode(r.body)
	id, m := d.U32(), d.U32()
	attr := p9.SetAttr{
		Permissions: p9.FileMode(d.U32() & 07777), UID: p9.UID(d.U32()), GID: p9.GID(d.U32()), Size: d.U64(),
		ATimeSeconds: d.U64(), ATimeNanoSeconds: d.U64(), MTimeSeconds: d.U64(), MTimeNanoSeconds: d.U64(),
	}
	if !d.End() {
		return errMalformed
	}
	if !r.wait {
		return errLater
	}
	f, err := r.find(id)
	if err != nil {
		return err
	}
	defer r.drop(f)
	valid := p9.SetAttrMask{
		Permissions: m&wire.SetMode != 0, UID: m&wire.SetUID != 0, GID: m&wire.SetGID != 0, Size: m&wire.SetSize != 0,
		ATime: m&wire.SetATime != 0, MTime: m&wire.SetMTime != 0, CTime: m&wire.SetCTime != 0,
		ATimeNotSystemTime: m&wire.SetATimeExact != 0, MTimeNotSystemTime: m&wire.SetMTimeExact != 0,
	}
	if valid.Size && attr.Size > 1<<63-1 {
		return linux.EFBIG
	}
	if err := f.file.SetAttr(valid, attr); err != nil {
		return err
	}
	r.begin(0)
	return nil
}

func tstatfs(r *request) error {
	d := wire.Decode(r.body)
	id := d.U32()
	return r.onFid(&d, id, func(f *fid) error {
		if !r.mayCall(f.file) {
			return errLater
		}
		st, err := f.file.StatFS()
		if err != nil {
			return err
		}
		const v9fsMagic = 0x01021997
		for _, v := range []struct {
			field *uint32
			value uint32
		}{{&st.Type, v9fsMagic}, {&st.BlockSize, 4096}, {&st.NameLength, wire.MaxName}} {
			if *v.field == 0 {
				*v.field = v.value
			}
		}
		r.begin(4*3 + 8*6)
		r.out = le.AppendUint32(r.out, st.Type)
		r.out = le.AppendUint32(r.out, st.BlockSize)
		for _, v := range []uint64{st.Blocks, st.BlocksFree, st.BlocksAvailable, st.Files, st.FilesFree, st.FSID} {
			r.out = le.AppendUint64(r.out, v)
		}
		r.out = le.AppendUint32(r.out, st.NameLength)
		return nil
	})
}

func treadlink(r *request) error {
	d := wire.Decode(r.body)
	id := d.U32()
	return r.onFid(&d, id, func(f *fid) error {
		if !isSymlink(f.qid) {
			return linux.EINVAL
		}
		if !r.mayCall(f.file) {
			return errLater
		}
		target, err := f.file.Readlink()
		if err != nil {
			return err
		}
		if len(target) >= int(r.s.msize)-wire.HeaderSize-2 || len(target) > 1<<16-1 {
			return linux.ENAMETOOLONG
		}
		r.begin(2 + len(target))
		r.out = wire.AppendStr(r.out, target)
		return nil
	})
}
