// Package pkgpath knows what paths in packages mean: where the merge of /bin into
// /usr/bin puts them, where a symlink leads, and which of them a glob names.
//
// Two forms are used. Inside, paths are relative and clean: usr/bin/env, and "" for
// the top. What people write is absolute and clean: /usr/bin/env; IsClean and
// ParseGlob check it.
//
// Values are plain data without locks. It looks at no file system, so that nothing
// here follows a symlink.
package pkgpath
