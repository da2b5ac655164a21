// What the official Cucumber extension makes of our steps: reads {sources, parameterTypes, features, at} from standard input and
// answers as JSON what it found, what it does not know, what it proposes and where it leads.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(join(process.argv[2], 'package.json'))
const service = require('@cucumber/language-service')
const { WasmParserAdapter } = require('@cucumber/language-service/wasm')
const adapter = new WasmParserAdapter(join(dirname(require.resolve('@cucumber/language-service')), '../..'))
await adapter.init()

const asked = JSON.parse(readFileSync(0, 'utf8'))
const sources = asked.sources.map((path) => ({
  languageName: 'python',
  uri: pathToFileURL(path).href,
  content: readFileSync(path, 'utf8'),
}))
const built = new service.ExpressionBuilder(adapter).build(sources, asked.parameterTypes)
const expressions = built.expressionLinks.map((link) => link.expression)
const index = service.jsSearchIndex(service.buildSuggestions(built.registry, [], expressions))
const answer = {
  errors: built.errors.map((error) => error.message),
  parameterTypes: built.parameterTypeLinks.map((link) => link.parameterType.name),
  expressions: built.expressionLinks.map((link) => ({
    source: link.expression.source,
    uri: link.locationLink.targetUri,
    line: link.locationLink.targetRange.start.line + 1,
  })),
  diagnostics: Object.fromEntries(
    asked.features.map((path) => {
      const text = readFileSync(path, 'utf8')
      return [path, service.getGherkinDiagnostics(text, expressions).map((item) => item.message)]
    }),
  ),
  proposals: service
    .getGherkinCompletionItems(asked.typed, { line: asked.typed.split('\n').length - 1, character: 40 }, index)
    .map((item) => item.label),
  leadsTo: service
    .getStepDefinitionLocationLinks(asked.at.text, { line: asked.at.line, character: 8 }, built.expressionLinks)
    .map((link) => link.targetUri),
}
process.stdout.write(JSON.stringify(answer))
