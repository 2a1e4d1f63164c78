/** The command line as a module that `DaemonProcess` can run: its arguments come from `ARGUMENTS`. */
process.argv.splice(2, Infinity, ...(process.env["ARGUMENTS"] ?? "").split(" "))
await import("../../src/cli/main.ts")
