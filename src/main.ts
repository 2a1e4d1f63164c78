import { enableCompileCache } from "node:module"

// Most of the time of a start is that of compiling what the daemon is made of. Where nothing can be written, it only takes longer.
enableCompileCache()
const DaemonProcess = await import("./DaemonProcess.ts")

DaemonProcess.run()
