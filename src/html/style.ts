/** The style of all pages: readable on a wide and a narrow screen, light or dark. */
export const baseStyle = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1a1f26;--mute:#5b6572;--line:#dfe3e8;--soft:#f5f7f9;--accent:#1f5fa8;--bad:#b3261e;--badbg:#fdecea;--warn:#8a5300;--warnbg:#fff4e0;--good:#1c6b3a;--goodbg:#e8f5ec}
@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e6e9ed;--mute:#9aa5b1;--line:#2d343d;--soft:#1c2229;--accent:#7db4f0;--bad:#ff9d94;--badbg:#3b1d1b;--warn:#f3c063;--warnbg:#352a14;--good:#86d3a0;--goodbg:#173022}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans","Noto Sans KR",sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:19px;margin:40px 0 10px;padding-top:14px;border-top:2px solid var(--line)}
h3{font-size:15px;margin:20px 0 6px}
p{margin:6px 0 10px;max-width:80ch}
.mute{color:var(--mute)}
code,.mono{font:13px/1.45 ui-monospace,"SFMono-Regular",Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin:22px 0 8px}
.card{border:1px solid var(--line);border-left:4px solid var(--mute);border-radius:6px;padding:10px 14px;background:var(--soft)}
.card b{display:block;font-size:20px;line-height:1.3}
.card span{color:var(--mute);font-size:13px}
.card.good{border-left-color:var(--good)}.card.warn{border-left-color:var(--warn)}.card.bad{border-left-color:var(--bad)}
.note{border-radius:6px;padding:10px 14px;margin:12px 0;border:1px solid var(--line)}
.note.good{background:var(--goodbg);color:var(--good)}.note.warn{background:var(--warnbg);color:var(--warn)}.note.bad{background:var(--badbg);color:var(--bad)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px;margin:6px 0 10px}
th,td{text-align:left;vertical-align:top;padding:5px 10px 5px 0;border-bottom:1px solid var(--line);overflow-wrap:break-word;max-width:34ch}
td code{overflow-wrap:anywhere}
th{color:var(--mute);font-weight:600;white-space:nowrap}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;padding-left:10px}
tr.bad td:first-child,tr.warn td:first-child,tr.good td:first-child{font-weight:600}
tr.bad td:first-child{color:var(--bad)}tr.warn td:first-child{color:var(--warn)}tr.good td:first-child{color:var(--good)}
details{border:1px solid var(--line);border-radius:6px;margin:8px 0;padding:0 14px}
summary{cursor:pointer;padding:8px 0;font-weight:600;overflow-wrap:anywhere}
summary .mute{font-weight:400}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:10px 0}
dt{color:var(--mute)}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:640px){main{padding:20px 14px 40px}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:6px}h1{font-size:23px}}
`
