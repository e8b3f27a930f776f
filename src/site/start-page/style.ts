import { baseStyle } from '../../html/style.ts'

/** The style of the start page and its lists. */
export const style = `${baseStyle}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-999em}.skip:focus{left:12px;top:8px;background:var(--bg);padding:6px 12px;z-index:1}
.top{display:flex;justify-content:space-between;align-items:baseline;gap:16px;flex-wrap:wrap}
.search{display:flex;gap:8px;flex-wrap:wrap;align-items:end;margin:22px 0 6px}
.search label{flex:1 1 100%;font-weight:600}
.search input[type=search]{flex:1 1 220px;min-width:0;font:inherit;color:inherit;background:var(--bg);border:1px solid var(--mute);border-radius:6px;padding:9px 12px}
button{font:inherit;color:var(--bg);background:var(--accent);border:1px solid var(--accent);border-radius:6px;padding:9px 18px;cursor:pointer}
.lists{list-style:none;margin:14px 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:12px}
.lists a{display:block;border:1px solid var(--line);border-radius:6px;padding:10px 14px;background:var(--soft);text-decoration:none;overflow-wrap:anywhere}
.lists a:hover{border-color:var(--accent)}.lists b,.lists span{display:block}.lists span{color:var(--mute);font-size:13px}
.block{position:relative;margin:6px 0 16px}
.block pre{margin:0;padding:12px 14px;background:var(--soft);border:1px solid var(--line);border-radius:6px;overflow-x:auto;font:13px/1.5 ui-monospace,"SFMono-Regular",Menlo,Consolas,"DejaVu Sans Mono",monospace;tab-size:2}
.block button{position:absolute;top:-32px;right:0;padding:2px 10px;font-size:13px}
h3 .mute{font-weight:400}
.scroll table{min-width:700px}td.t:first-child{overflow-wrap:anywhere}td code{display:inline-block;min-width:22ch}
.pages{display:flex;gap:16px;flex-wrap:wrap;align-items:baseline;margin:10px 0}
@media(max-width:640px){.search button{flex:1 1 auto}}
`
