import { ConfigError, ConfigProvider, Either, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"

type Environment = Readonly<Record<string, string | undefined>>

/** A setting that is in a file, and how the operator has said so. */
interface SettingFile {
  readonly setting: string
  readonly givenBy: string
  readonly file: string
}

/** Variables of other programs are left alone. */
const ours = /^(?:CHAT_CACHE_\w+|VALKEY_URL|DATABASE_URL)$/

const suffix = "_FILE"

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)

const namedFiles = (environment: Environment): ReadonlyArray<SettingFile> =>
  Object.entries(environment).flatMap(([name, file]) => {
    const setting = name.slice(0, -suffix.length)
    return name.endsWith(suffix) && ours.test(setting) && file !== undefined
      ? [{ setting, givenBy: name, file }]
      : []
  })

const credentials = (directory: string): ReadonlyArray<SettingFile> =>
  fs
    .readdirSync(directory)
    .filter((name) => ours.test(name))
    .map((setting) => ({
      setting,
      givenBy: `the credential ${setting}`,
      file: path.join(directory, setting),
    }))

const readFile = ({ file, givenBy }: SettingFile): Either.Either<string, ConfigError.ConfigError> => {
  let text: string
  try {
    text = fs.readFileSync(file, "utf8")
  } catch (error) {
    return Either.left(
      ConfigError.InvalidData([givenBy], `the file ${file} cannot be read (${codeOf(error)})`),
    )
  }
  // Most editors end a file with a line break that is no part of what it holds.
  const value = text.replace(/\r?\n$/, "")
  return value === ""
    ? Either.left(ConfigError.InvalidData([givenBy], `the file ${file} is empty`))
    : Either.right(value)
}

const CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"

/** The environment, with the settings from files in it. Errors tell the names of files and never what is in them. */
const read = (environment: Environment): Either.Either<Map<string, string>, ConfigError.ConfigError> =>
  Either.gen(function* () {
    const settings = new Map(
      Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
    )
    const directory = settings.get(CREDENTIALS_DIRECTORY)
    const fromCredentials =
      directory === undefined
        ? []
        : yield* Either.try({
            try: () => credentials(directory),
            catch: (error) =>
              ConfigError.InvalidData(
                [CREDENTIALS_DIRECTORY],
                `the folder ${directory} cannot be read (${codeOf(error)})`,
              ),
          })
    const givenBy = new Map<string, string>()
    for (const settingFile of [...namedFiles(environment), ...fromCredentials]) {
      const { setting } = settingFile
      if (settings.has(setting)) {
        const other = givenBy.get(setting) ?? setting
        return yield* Either.left(
          ConfigError.InvalidData(
            [settingFile.givenBy],
            `it is given by ${other} too: use one of them alone`,
          ),
        )
      }
      settings.set(setting, yield* readFile(settingFile))
      givenBy.set(setting, settingFile.givenBy)
    }
    return settings
  })

/**
 * Settings from the environment, as `NAME`; from the file that `NAME_FILE` names; or from the systemd credential `NAME`.
 * So a password need not be in the environment, where others may come to see it.
 */
export const make = (
  environment: Environment,
): Either.Either<ConfigProvider.ConfigProvider, ConfigError.ConfigError> =>
  Either.map(read(environment), (settings) => ConfigProvider.fromMap(settings, { pathDelim: "_" }))

/** Has everything under it read its settings so. */
export const layer = (environment: Environment): Layer.Layer<never, ConfigError.ConfigError> =>
  Layer.unwrapEffect(Either.map(make(environment), Layer.setConfigProvider))
