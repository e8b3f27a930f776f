import { collect } from '../../../src/discover/collect.ts'
import { renderedObjects } from '../../../src/discover/documents.ts'

export const found = (text: string) => collect([{ release: 'r', objects: renderedObjects(text, 'r') }])
export const images = (text: string) => [...new Set(found(text).images.map(image => image.text))]
export const active = (text: string) =>
  found(text)
    .images.filter(({ dormant }) => dormant === undefined)
    .map(image => image.text)
export const undecided = (text: string) => found(text).undecided.map(({ subject }) => subject)

export const digest = `sha256:${'a'.repeat(64)}`
export const resource = (spec: string, kind = 'Thing') =>
  `apiVersion: acme.io/v1\nkind: ${kind}\nmetadata: {name: n}\n${spec}\n`
export const configMap = (key: string, text: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  ${key}: |-\n${text.replace(/^/gm, '    ')}\n`
export const container = (more: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: "quay.io/t/x:1", ${more}}]}\n`
export const besides = (more: string) => images(container(more)).filter(image => image !== 'quay.io/t/x:1')
