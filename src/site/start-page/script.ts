/**
 * What a browser with JavaScript adds: results while one types, and buttons that copy commands. The page works without it. Texts come from the
 * page itself; results are the server's own page, parsed without running anything.
 */
export const script = `
(() => {
  const { copy, copied } = document.body.dataset
  for (const block of document.querySelectorAll('.block')) {
    const button = document.createElement('button')
    const pre = block.querySelector('pre')
    button.type = 'button'
    button.textContent = copy
    button.setAttribute('aria-label', copy + ': ' + pre.getAttribute('aria-label'))
    button.onclick = async () => {
      try {
        await navigator.clipboard.writeText(pre.textContent)
      } catch {
        getSelection().selectAllChildren(pre)
        document.execCommand('copy')
      }
      button.textContent = copied
      setTimeout(() => { button.textContent = copy }, 2000)
    }
    block.prepend(button)
  }
  const form = document.querySelector('form.search')
  const part = id => document.getElementById(id)
  if (!form || !part('results')) return
  const here = new URL(form.action).pathname === location.pathname
  let timer, request
  form.q.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(async () => {
      request?.abort()
      request = new AbortController()
      const url = form.action + '?' + new URLSearchParams(new FormData(form))
      try {
        if (!here && form.q.value.trim() === '') {
          part('results').replaceChildren()
          part('found').textContent = ''
          return
        }
        const answer = await fetch(url, { headers: { accept: 'text/html' }, signal: request.signal })
        if (!answer.ok) return
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
        part('results').replaceChildren(...page.getElementById('results').childNodes)
        part('found').textContent = page.getElementById('found').textContent
        if (here) history.replaceState(null, '', url)
      } catch {}
    }, 150)
  })
})()
`
