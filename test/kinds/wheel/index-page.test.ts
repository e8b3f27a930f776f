import { describe, expect, it } from 'vitest'
import { parseProjectPage } from '../../../src/kinds/wheel/index-page.ts'

const url = 'https://index.example/simple/a/'
const read = (page: string | Buffer, mediaType = 'text/html') =>
  parseProjectPage(page, { url, mediaType }).flatMap(listed => listed.read() ?? [])
const urls = (page: string, mediaType?: string) => read(page, mediaType).map(file => file.url)
const name = 'a-1-py3-none-any.whl'

describe('the page of a project in HTML', () => {
  it('joins links to the first base, which is itself relative to the page', () => {
    const page = (base: string) => `<html><head>${base}</head><a href="${name}">x</a>`
    expect(urls(page(''))).toEqual([`https://index.example/simple/a/${name}`])
    expect(urls(page('<base href="https://files.example/p/"><base href="/other/">'))).toEqual([
      `https://files.example/p/${name}`,
    ])
    expect(urls(page('<base target="_top"><BASE HREF=../../p/>'))).toEqual([
      `https://index.example/p/${name}`,
    ])
    expect(urls(page('<base href="http://[">'))).toEqual([`https://index.example/simple/a/${name}`])
  })

  it('names files by the path of the link, not by its text', () => {
    const links: [href: string, filename: string][] = [
      ['long_name-1-cp37-abi3-manylinux_2_17_x86_64.whl', 'long_name-1-cp37-abi3-manylinux_2_17_x86_64.whl'],
      ['torch-2.1.0%2Bcu118-py3-none-any.whl', 'torch-2.1.0+cu118-py3-none-any.whl'],
      ['torch-2.1.0%252Bcu118-py3-none-any.whl', 'torch-2.1.0+cu118-py3-none-any.whl'],
      ['torch-2.1.0+cu118-py3-none-any.whl', 'torch-2.1.0+cu118-py3-none-any.whl'],
      ['b-1.tar.gz?download=1#egg=b', 'b-1.tar.gz'],
      ['dir%2Fc-1.tar.gz', 'c-1.tar.gz'],
      ['d-1.tar.gz/', 'd-1.tar.gz'],
    ]
    for (const text of ['long_name-1-cp37-abi3-manylin..&gt;', '', '\n  <b>file</b>\n'])
      for (const [href, filename] of links)
        expect(read(`<a href='${href}'>${text}</a>`).map(file => file.filename)).toEqual([filename])
  })

  it('finds no links in comments, scripts and titles', () => {
    const link = `<a href="${name}">x</a>`
    for (const page of [
      `<!-- ${link} -->`,
      `<!-- > ${link} --!>`,
      `<!DOCTYPE ${link.replaceAll(/[<>]/g, '')}>`,
      `<script>${link}</script>`,
      `<style>${link}</style>`,
      `<title>${link}</title>`,
      `<textarea>${link}</textarea>`,
    ])
      expect(urls(page), page).toEqual([])
    expect(urls(`<!-- --><title>x</title>${link}`)).toHaveLength(1)
  })

  it('decodes entities, and reads attributes in any spelling', () => {
    const [file] = read(
      `<A REL=internal data-requires-python='&gt;=3.8,&#60;4' data-yanked="a &quot;bad&quot; one"
        data-core-metadata=sha256=${'B'.repeat(64)} HREF=/p/${name}?a&amp;b=1#sha256=${'A'.repeat(64)}&amp;egg=a >`,
    )
    expect(file).toEqual({
      filename: name,
      url: `https://index.example/p/${name}?a&b=1`,
      hashes: [{ algorithm: 'sha256', hex: 'a'.repeat(64) }],
      requiresPython: '>=3.8,<4',
      yanked: 'a "bad" one',
      metadata: { sha256: 'b'.repeat(64) },
    })
  })

  it('takes a bare data-yanked for a withdrawn file, and what no digest can be for none', () => {
    const [yanked] = read(`<a href="${name}#sha256=abc" data-yanked data-core-metadata="nonsense">x</a>`)
    expect(yanked).toMatchObject({ yanked: '', hashes: [] })
    expect(yanked).not.toHaveProperty('metadata')
    const [apart] = read(`<a href="${name}" data-core-metadata="true" data-dist-info-metadata="sha256=x">`)
    expect(apart!.metadata).toEqual({})
  })

  it('knows every hash that pip knows', () => {
    const digits = { sha512: 128, sha384: 96, sha256: 64, sha224: 56, sha1: 40, md5: 32 }
    for (const [algorithm, length] of Object.entries(digits)) {
      const [file] = read(`<a href="${name}#subdirectory=x&${algorithm}=${'f'.repeat(length)}">`)
      expect(file!.hashes).toEqual([{ algorithm, hex: 'f'.repeat(length) }])
    }
  })

  it('survives markup that nobody closed', () => {
    expect(urls(`<html><body><p><a href="${name}">x<br><a href="/${name}"`)).toHaveLength(1)
    expect(urls(`<table><a href="${name}">x<select><a href="b-1.tar.gz">`)).toHaveLength(2)
  })

  it('is read in its own encoding', () => {
    const page = Buffer.from(
      `<title>caf\u00e9</title><a href="${name}" data-yanked="caf\u00e9">x</a>`,
      'latin1',
    )
    expect(read(page, 'text/html; charset=ISO-8859-1')[0]!.yanked).toBe('caf\u00e9')
    expect(read(page, 'text/html; charset=unknown')).toHaveLength(1)
  })
})

describe('the page of a project in JSON', () => {
  it('has null, other types and missing members where pip does not mind', () => {
    const files = [
      { url: `/p/${name}`, filename: null, hashes: null, yanked: null, size: null, 'requires-python': null },
      { url: '../../p/a-2.tar.gz', yanked: true, 'core-metadata': null, 'dist-info-metadata': { sha256: 7 } },
      {
        url: `a-3.tar.gz#md5=${'a'.repeat(32)}`,
        yanked: '',
        'requires-python': 3,
        size: -1,
        'core-metadata': true,
      },
      { url: null, filename: 'a-4.tar.gz' },
      { filename: 'a-5.tar.gz' },
      'a-6.tar.gz',
      null,
    ]
    const found = read(JSON.stringify({ meta: null, files }), 'application/vnd.pypi.simple.v1+json')
    expect(found).toEqual([
      { filename: name, url: `https://index.example/p/${name}`, hashes: [] },
      {
        filename: 'a-2.tar.gz',
        url: 'https://index.example/p/a-2.tar.gz',
        hashes: [],
        yanked: '',
        metadata: {},
      },
      {
        filename: 'a-3.tar.gz',
        url: 'https://index.example/simple/a/a-3.tar.gz',
        hashes: [{ algorithm: 'md5', hex: 'a'.repeat(32) }],
        metadata: {},
      },
    ])
    for (const empty of ['{}', '{"files": null}', '{"files": []}'])
      expect(urls(empty, 'application/json')).toEqual([])
  })

  it('is recognised without a media type', () => {
    const page = JSON.stringify({ files: [{ url: name }] })
    for (const type of ['', 'text/plain', 'application/octet-stream']) {
      expect(urls(`\n${page}`, type)).toHaveLength(1)
      expect(urls(`<a href="${name}">`, type)).toHaveLength(1)
    }
  })
})

it('reads a page of 10,000 links in a short time', () => {
  const link = (i: number) =>
    `<a href="../../p/${i}/a-${i}-py3-none-any.whl#sha256=${'0'.repeat(64)}" data-requires-python="&gt;=3.8">a</a><br/>`
  const page = `<!DOCTYPE html><html><body>${Array.from({ length: 10_000 }, (_, i) => link(i)).join('\n')}`
  const started = performance.now()
  expect(read(page)).toHaveLength(10_000)
  expect(performance.now() - started).toBeLessThan(10_000)
})
