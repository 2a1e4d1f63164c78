/**
 * Brings a fresh clone to where it can run: packages, Node 24, a Valkey server. npm runs it before `start`, `test` and
 * `bench`, with whatever Node the machine has (20 or later) and before anything is installed, so it imports nothing but
 * Node's own modules. When all is there it only looks, which takes milliseconds. With `CI=true` the tests get a Chromium
 * too, where root can install one.
 * `--only-valkey` installs Valkey and nothing else, for use with sudo.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const SETUP = fileURLToPath(import.meta.url)
const NODE_MAJOR = 24
const REDIS_MAJOR_MIN = 7
const LOCK_PORT_MIN = 20_000
const LOCK_PORTS = 12_000
const LOCK_TRIES = 10
const GREETING_TIMEOUT_MS = 2000
const APT_TRIES = 5
const APT_PAUSE_MS = 2000
const OUTPUT_LINES_MAX = 20

/** What stops the setup. Its text tells the reader what to do. */
class SetupError extends Error {}

const say = (text) => process.stderr.write(`chat-cache: ${text}\n`)

/** Runs a program silently: its output is only of interest when it fails. Never rejects. */
const run = (command, args, options = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], ...options })
    let stdout = ""
    let output = ""
    child.stdout.on("data", (bytes) => {
      stdout += bytes
      output += bytes
    })
    child.stderr.on("data", (bytes) => {
      output += bytes
    })
    child.once("error", (error) => resolve({ ok: false, stdout, output: error.message }))
    child.once("close", (code) => resolve({ ok: code === 0, stdout, output: output.trim() }))
  })

const lastLines = (text) => text.split("\n").slice(-OUTPUT_LINES_MAX).join("\n")

const readJson = (file) => {
  try {
    return JSON.parse(fs.readFileSync(path.join(ROOT, file), "utf8"))
  } catch {
    return undefined
  }
}

/** npm leaves out an optional package that is not for this machine, and only such a one. */
const mayBeMissing = (locked) => locked.optional === true || locked.devOptional === true

/** Compares what npm has installed with what is locked, since npm writes its own list last of all. */
const arePackagesCurrent = () => {
  const locked = readJson("package-lock.json")?.packages
  const installed = readJson("node_modules/.package-lock.json")?.packages
  if (locked === undefined || installed === undefined) return false
  return Object.entries(locked).every(([name, entry]) => {
    if (name === "") return true
    const found = installed[name]
    return found === undefined ? mayBeMissing(entry) : found.version === entry.version
  })
}

/** The Node that npm scripts will find first. Asking the file is much faster than running it. */
const hasNode = () =>
  fs.existsSync(path.join(ROOT, "node_modules/.bin/node")) ||
  Number(process.versions.node.split(".")[0]) >= NODE_MAJOR

const npm = (args) => {
  const file = process.env.npm_execpath
  // Warnings are about the Node that runs npm itself, which is not the one that runs the project.
  const quiet = [
    ...args,
    "--loglevel=error",
    "--no-audit",
    "--no-fund",
    "--no-progress",
    "--engine-strict=false",
  ]
  const isScript = file !== undefined && /npm-cli\.c?js$/.test(file)
  return isScript ? run(process.execPath, [file, ...quiet]) : run("npm", quiet)
}

/**
 * Takes what is locked, as `npm ci` does. That one refuses a lock file which lacks optional packages for other systems,
 * and it takes the packages away from under a daemon that runs from this folder.
 */
const installPackages = async () => {
  say("installing packages ...")
  const { ok, output } = await npm(["install", "--no-save", "--include=dev", "--include=optional"])
  if (!ok) throw new SetupError(`npm install failed:\n${lastLines(output)}`)
}

/** npm does not run install scripts everywhere, and this one is what brings the program. */
const installNode = async () => {
  say(`installing Node ${NODE_MAJOR} ...`)
  const { output } = await run(process.execPath, ["installArchSpecificPackage.js"], {
    cwd: path.join(ROOT, "node_modules/node"),
  })
  await run("ln", ["-sf", "../node/bin/node", path.join(ROOT, "node_modules/.bin/node")])
  if (!hasNode())
    throw new SetupError(
      `Node ${NODE_MAJOR} could not be installed; install it yourself.\n${lastLines(output)}`,
    )
}

const isExecutable = (file) => {
  try {
    fs.accessSync(file, fs.constants.X_OK)
    return fs.statSync(file).isFile()
  } catch {
    return false
  }
}

const findInPath = (name) =>
  (process.env.PATH ?? "")
    .split(path.delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => path.join(folder, name))
    .find(isExecutable)

const hasValkey = async () => {
  if (findInPath("valkey-server") !== undefined) return true
  const redis = findInPath("redis-server")
  if (redis === undefined) return false
  return Number(/v=(\d+)/.exec((await run(redis, ["--version"])).stdout)?.[1] ?? 0) >= REDIS_MAJOR_MIN
}

/** `npm start` and `npm run bench` can use a Valkey that runs elsewhere; the tests start, stop and kill their own. */
const needsValkey = () => process.env.npm_lifecycle_event === "pretest" || !process.env.VALKEY_URL

const isAptSystem = () => process.platform === "linux" && findInPath("apt-get") !== undefined

const aptEnvironment = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" }

/** Another program may be at the package lists; they are free again soon. */
const apt = async (args) => {
  let result = { ok: false, stdout: "", output: "" }
  for (let tries = 0; tries < APT_TRIES; tries += 1) {
    result = await run("apt-get", ["-o", "DPkg::Lock::Timeout=120", ...args], { env: aptEnvironment })
    if (result.ok || !result.output.includes("Could not get lock")) return result
    await setTimeout(APT_PAUSE_MS)
  }
  return result
}

/** The major version that apt would install, or 0. */
const candidateMajor = async (name) => {
  const { stdout } = await run("apt-cache", ["policy", name], { env: aptEnvironment })
  return Number(/Candidate: (?:\d+:)?(\d+)/.exec(stdout)?.[1] ?? 0)
}

const aptPackage = async () => {
  if ((await candidateMajor("valkey-server")) > 0) return "valkey-server"
  return (await candidateMajor("redis-server")) >= REDIS_MAJOR_MIN ? "redis-server" : undefined
}

const osRelease = () => {
  const text = fs.existsSync("/etc/os-release") ? fs.readFileSync("/etc/os-release", "utf8") : ""
  const field = (name) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1]
  return { id: field("ID"), codename: field("VERSION_CODENAME") }
}

const APT_SOURCES = "/etc/apt/sources.list.d"
const BACKPORTS_FILE = path.join(APT_SOURCES, "chat-cache-backports.sources")

/** The key that the machine's own entry for this mirror names, if it names one. */
const signedBy = (mirror) => {
  const files = ["/etc/apt/sources.list"]
  if (fs.existsSync(APT_SOURCES))
    files.push(...fs.readdirSync(APT_SOURCES).map((name) => path.join(APT_SOURCES, name)))
  for (const file of files.filter((name) => /\.(list|sources)$/.test(name) && fs.existsSync(name))) {
    const entries = fs.readFileSync(file, "utf8").split(file.endsWith(".list") ? "\n" : /\n\s*\n/)
    const entry = entries.find((text) => text.includes(mirror.replace(/\/$/, "")) && !text.startsWith("#"))
    const key = /signed-by[:=]\s*([^\s\]]+)/i.exec(entry ?? "")?.[1]
    if (key !== undefined) return key
  }
  return undefined
}

/** Debian 12 has Valkey in its backports alone. They are taken from where this machine takes Debian itself. */
const addBackports = async (codename) => {
  const format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
  const { stdout } = await run("apt-get", ["indextargets", "--format", format, "Created-By: Packages"])
  const targets = stdout.split("\n")
  const mirror = targets.find((line) => line.endsWith(`|${codename}|main`))?.split("|")[0]
  if (mirror === undefined || targets.some((line) => line.includes(`|${codename}-backports|main`)))
    return false
  const key = signedBy(mirror)
  const lines = ["Types: deb", `URIs: ${mirror}`, `Suites: ${codename}-backports`, "Components: main"]
  if (key !== undefined) lines.push(`Signed-By: ${key}`)
  fs.writeFileSync(BACKPORTS_FILE, `${lines.join("\n")}\n`)
  await apt(["update"])
  if ((await candidateMajor("valkey-server")) > 0) return true
  fs.rmSync(BACKPORTS_FILE)
  await apt(["update"])
  return false
}

const POLICY_FILE = "/usr/sbin/policy-rc.d"

/** Installing a server package starts its service on the standard port and at every boot: neither is wanted here. */
const installWithoutService = async (name) => {
  // Ctrl-C reaches apt-get too; this program stays to clear up after it.
  const ignore = () => {}
  process.on("SIGINT", ignore)
  const hadPolicy = fs.existsSync(POLICY_FILE)
  if (!hadPolicy) fs.writeFileSync(POLICY_FILE, "#!/bin/sh\nexit 101\n", { mode: 0o755 })
  try {
    const { ok, output } = await apt(["install", "-y", "--no-install-recommends", name])
    if (!ok) throw new SetupError(`apt-get install ${name} failed:\n${lastLines(output)}`)
    if (fs.existsSync("/run/systemd/system")) await run("systemctl", ["disable", "--now", `${name}.service`])
    else if (hadPolicy) await run(`/etc/init.d/${name}`, ["stop"])
  } finally {
    if (!hadPolicy) fs.rmSync(POLICY_FILE, { force: true })
    process.off("SIGINT", ignore)
  }
}

const installValkey = async () => {
  say("installing Valkey ...")
  let name = await aptPackage()
  if (name !== "valkey-server") {
    const { ok, output } = await apt(["update"])
    name = await aptPackage()
    if (!ok && name === undefined) throw new SetupError(`apt-get update failed:\n${lastLines(output)}`)
  }
  const { codename, id } = osRelease()
  if (name !== "valkey-server" && id === "debian" && codename !== undefined && (await addBackports(codename)))
    name = "valkey-server"
  if (name === undefined) throw new SetupError(`this system has no package of Valkey; ${ELSEWHERE}.`)
  await installWithoutService(name)
}

const ELSEWHERE = "install Valkey 7.2 or later (https://valkey.io), or set VALKEY_URL for npm start"

/** One command that can be copied, whatever the machine is. */
const howToInstall = async () => {
  if (process.platform === "darwin") return "brew install valkey"
  if (isAptSystem() && (await candidateMajor("valkey-server")) > 0)
    return "sudo apt-get install valkey-server"
  if (isAptSystem()) return `sudo ${process.execPath} ${SETUP} --only-valkey`
  if (findInPath("dnf") !== undefined) return "sudo dnf install valkey"
  if (findInPath("apk") !== undefined) return "sudo apk add valkey"
  if (findInPath("pacman") !== undefined) return "sudo pacman -S valkey"
  return undefined
}

const ensureValkey = async () => {
  if (await hasValkey()) return
  if (isAptSystem() && process.getuid?.() === 0) {
    await installValkey()
    if (!(await hasValkey())) throw new SetupError(`Valkey is installed but not on the PATH; ${ELSEWHERE}.`)
    return
  }
  const command = await howToInstall()
  if (command === undefined) throw new SetupError(`no Valkey server found; ${ELSEWHERE}.`)
  throw new SetupError(
    `no Valkey server found. Install one with\n\n    ${command}\n\nor set VALKEY_URL for npm start to one that runs already.`,
  )
}

/** The page of an example is tried in a browser wherever every change is checked; elsewhere, where there is one. */
const needsBrowser = () => process.env.npm_lifecycle_event === "pretest" && process.env.CI === "true"

const hasBrowser = () =>
  ["chromium", "chromium-browser", "google-chrome"].some((name) => findInPath(name) !== undefined)

/** Without it one test fails and says so: no reason to run none of them. */
const ensureBrowser = async () => {
  if (hasBrowser() || !isAptSystem() || process.getuid?.() !== 0) return
  say("installing Chromium for the tests ...")
  const install = () => apt(["install", "-y", "--no-install-recommends", "chromium"])
  let result = await install()
  if (!result.ok) {
    await apt(["update"])
    result = await install()
  }
  if (!result.ok) say(`Chromium could not be installed:\n${lastLines(result.output)}`)
}

const GREETING = `chat-cache setup ${ROOT}\n`

const listen = (port) =>
  new Promise((resolve) => {
    const server = net.createServer((socket) => {
      socket.on("error", () => {})
      socket.write(GREETING)
    })
    server.once("error", () => resolve(undefined))
    server.listen(port, "127.0.0.1", () => resolve(server))
  })

/** Whether it is another setup of this folder that holds the port. If so, returns when it has finished. */
const awaitHolder = (port) =>
  new Promise((resolve) => {
    let greeting = ""
    const socket = net.connect(port, "127.0.0.1")
    socket.setTimeout(GREETING_TIMEOUT_MS, () => {
      if (greeting !== GREETING) socket.destroy()
    })
    socket.on("data", (bytes) => {
      greeting += bytes
    })
    socket.on("error", () => {})
    socket.on("close", () => resolve(greeting === GREETING))
  })

/**
 * One setup at a time in one folder. The lock is a port that follows from the folder's name: the system gives it back
 * when the holder ends in whatever way, and whoever waits sees its connection close. A port that belongs to some other
 * program is passed over.
 */
const acquireLock = async () => {
  const base = createHash("sha256").update(ROOT).digest().readUInt32BE() % LOCK_PORTS
  for (let tries = 0; tries < LOCK_TRIES;) {
    const port = LOCK_PORT_MIN + ((base + tries) % LOCK_PORTS)
    const server = await listen(port)
    if (server !== undefined) return server
    say("another setup of this folder is running, waiting for it ...")
    if (!(await awaitHolder(port))) tries += 1
  }
  throw new SetupError(`found no free port from ${LOCK_PORT_MIN + base} on`)
}

const isReady = async (onlyValkey) => {
  if (!onlyValkey && !(arePackagesCurrent() && hasNode())) return false
  if (!onlyValkey && needsBrowser() && !hasBrowser()) return false
  return (!onlyValkey && !needsValkey()) || (await hasValkey())
}

const setUp = async (onlyValkey) => {
  // Valkey first: where it cannot be installed, there is no reason to wait for the packages.
  if (onlyValkey || needsValkey()) await ensureValkey()
  if (onlyValkey) return
  if (needsBrowser()) await ensureBrowser()
  if (!arePackagesCurrent()) await installPackages()
  if (!hasNode()) await installNode()
}

const main = async () => {
  const onlyValkey = process.argv.includes("--only-valkey")
  if (await isReady(onlyValkey)) return
  const lock = await acquireLock()
  try {
    await setUp(onlyValkey)
  } finally {
    lock.close()
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    say(error instanceof SetupError ? error.message : String(error?.stack ?? error))
    process.exit(1)
  },
)
