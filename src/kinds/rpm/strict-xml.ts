import { SaxesParser } from 'saxes'
import { AirgapError } from '../../core/errors.ts'

/**
 * Strict XML (fault 48): a document type is refused before anything in it is read, so that there are no entities but XML's own
 * five; text that is not well-formed is an error.
 */
export function strictParser(item: string, options: { doctype?: 'ignored' } = {}): SaxesParser {
  const parser = new SaxesParser({})
  parser.on('doctype', text => {
    // comps.xml traditionally has one, but never an internal subset, which could define entities
    if (options.doctype !== 'ignored' || text.includes('[')) throw malformed('it has a document type', item)
  })
  parser.on('error', error => {
    throw malformed(error.message.slice(0, 200), item, error)
  })
  return parser
}

export function malformed(why: string, item: string, cause?: unknown): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `repository metadata is malformed: ${why}`, {
    item,
    likely: 'a repository made with broken tools, a proxy’s error page, or tampering',
    next: 'open the address in a browser, or use another mirror',
    cause,
  })
}
