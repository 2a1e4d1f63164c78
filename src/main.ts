import * as DaemonProcess from "./DaemonProcess.ts"

DaemonProcess.run()
