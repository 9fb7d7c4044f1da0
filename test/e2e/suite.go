package e2e

import "github.com/packagefs/packagefs/test/harness"

// EndToEnd are the tests of package files and the command line, over the wire.
var EndToEnd = harness.Tests{
	"BadFiles":           testBadFiles,
	"StillCopied":        testStillCopied,
	"CommandLook":        testCommandLook,
	"CommandText":        testCommandText,
	"CommandErrors":      testCommandErrors,
	"Conflict":           testConflict,
	"AllowDeny":          testAllowDeny,
	"Replace":            testReplace,
	"Demo":               testDemo,
	"Convert":            testConvert,
	"ConvertKill":        testConvertKill,
	"FormatArch":         testFormatArch,
	"FormatAPK":          testFormatAPK,
	"FormatDeb":          testFormatDeb,
	"LinkerCache":        testLinkerCache,
	"InstallKill":        testInstallKill,
	"OracleAgrees":       testOracleAgrees,
	"FormatPfs":          testFormatPfs,
	"PfsRot":             testPfsRot,
	"PfsVerify":          testPfsVerify,
	"FormatRpm":          testFormatRpm,
	"RpmRequirements":    testRpmRequirements,
	"Run":                testRun,
	"RunForbidden":       testRunForbidden,
	"RunKeeper":          testRunKeeper,
	"RunKilled":          testRunKilled,
	"RunMany":            testRunMany,
	"RunRestart":         testRunRestart,
	"RunSquatted":        testRunSquatted,
	"RunMounted":         testRunMounted,
	"RunLaunchers":       testRunLaunchers,
	"RunLauncherMounted": testRunLauncherMounted,
	"RunAllowed":         testRunAllowed,
	"RunWarmLive":        testRunWarmLive,
	"Minisign":           testMinisign,
	"WireTrees":          testWireTrees,
	"ClosureIsApts":      testClosureIsApts,
}

// Quiet are those that count what is asked of a server, which is more on a machine
// that has much else to do.
var Quiet = harness.Tests{
	"RunWarm": testRunWarm,
}

// FUSE are the tests of mounts and other things that need FUSE on this machine.
var FUSE = harness.Tests{
	"Trees":          testFUSETrees,
	"OverTCP":        testFUSEOverTCP,
	"Programs":       testFUSEPrograms,
	"Calls":          testFUSECalls,
	"Live":           testFUSELive,
	"Restart":        testFUSERestart,
	"Contexts":       testFUSEContexts,
	"Launchers":      testFUSELaunchers,
	"Posix":          testFUSEPosix,
	"Dbench":         testFUSEDbench,
	"Random":         testFUSERandom,
	"Agree":          testFUSEAgree,
	"Build":          testFUSEBuild,
	"Loader":         testFUSELoader,
	"LayerIsOverlay": testFUSELayerIsOverlay,
	"LayerDiskFull":  testFUSELayerDiskFull,
	"LayerQuota":     testFUSELayerQuota,
	"LayerKill":      testFUSELayerKill,
	"Login":          testFUSELogin,
	"Pythons":        testFUSEPythons,
	"Readme":         testFUSEReadme,
	"UnionLauncher":  testFUSEUnionLauncher,
}

// Kernel are the tests in guests, of the Linux kernel's own client.
var Kernel = harness.Tests{
	"Control": testKernelControl,
	"Guests":  testKernelGuests,
	"Runner":  testKernelRunner,
}
