import { baseStyle } from '../../html/style.ts'

/** The style of the report: on paper, everything that is folded is shown. */
export const style = `${baseStyle}
nav{columns:3 220px;font-size:14px;margin:14px 0}
nav a{color:var(--accent);display:block;text-decoration:none;padding:1px 0}
.sign{display:grid;grid-template-columns:1fr 1fr;gap:28px 40px;margin-top:28px}
.sign div{border-top:1px solid var(--fg);padding-top:4px;color:var(--mute);font-size:13px}
@media(max-width:640px){.sign{grid-template-columns:1fr}}
@media print{:root{--bg:#fff;--fg:#000;--mute:#444;--line:#bbb;--soft:#fff;--accent:#000;--bad:#900;--badbg:#fff;--warn:#640;--warnbg:#fff;--good:#052;--goodbg:#fff}
body{font-size:10.5pt}main{max-width:none;padding:0}nav{display:none}details{border:0;padding:0}details::details-content{content-visibility:visible;display:block;height:auto}summary{list-style:none}
thead{display:table-header-group}tr,.card{break-inside:avoid}h2,h3,summary{break-after:avoid}table{font-size:8.5pt}.sign{break-inside:avoid}@page{margin:16mm 14mm}}
`
