/** What a text in the format of Prometheus says. */
export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Exposition {
  readonly series: ReadonlyArray<Series>
  /** By the name of the metric, without `_bucket`, `_sum` and `_count`. */
  readonly types: Readonly<Record<string, string>>
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/

const labelsOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name!, value!]),
  )

/** Throws at the first line that is none of the format. */
export const parse = (text: string): Exposition => {
  const series: Array<Series> = []
  const types: Record<string, string> = {}
  for (const row of text.split("\n")) {
    const [, typed, type] = /^# TYPE (\S+) (\S+)$/.exec(row) ?? []
    if (typed !== undefined) types[typed] = type!
    if (row === "" || row.startsWith("#")) continue
    const match = line.exec(row)
    if (match === null) throw new Error(`not a line of the format: ${row}`)
    series.push({ name: match[1]!, labels: labelsOf(match[2] ?? ""), value: Number(match[3]) })
  }
  return { series, types }
}

/** The value of the one series with this name and exactly these labels, `undefined` where there is none. */
export const valueOf = (
  { series }: Exposition,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined =>
  series.find(
    (one) =>
      one.name === name &&
      Object.keys(one.labels).length === Object.keys(labels).length &&
      Object.entries(labels).every(([label, value]) => one.labels[label] === value),
  )?.value
