import { parse, View } from "vega"
import { compile, type TopLevelSpec } from "vega-lite"
import type { QuestionResult } from "./Result.ts"

/** A bar for each median, and a line from the least figure to the greatest. */
const specOf = ({ asks, unit, better, contestants }: QuestionResult): TopLevelSpec => ({
  title: {
    text: asks,
    subtitle: `${unit}: median, minimum and maximum; ${better} is better`,
    anchor: "start",
  },
  background: "white",
  width: 480,
  height: { step: 28 },
  data: {
    values: contestants.map(({ name, median, minimum, maximum }) => ({ name, median, minimum, maximum })),
  },
  encoding: {
    y: {
      field: "name",
      type: "nominal",
      sort: null,
      title: null,
      axis: { labelLimit: 600, labelFontSize: 12 },
    },
  },
  layer: [
    {
      mark: { type: "bar", color: "#4c78a8", height: { band: 0.65 } },
      encoding: { x: { field: "median", type: "quantitative", title: unit } },
    },
    {
      mark: { type: "rule", color: "#222222", strokeWidth: 2 },
      encoding: { x: { field: "minimum", type: "quantitative" }, x2: { field: "maximum" } },
    },
  ],
})

/** The chart as SVG, made without a browser. */
export const svgOf = async (result: QuestionResult): Promise<string> => {
  const view = new View(parse(compile(specOf(result)).spec), { renderer: "none" })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}
