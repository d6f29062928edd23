import{A as l,B as c,C as Oe,D as h,E as De,F as Y,G as Ce,a as kn,b as r,d,e as we,f as ke,g as Ie,h as Ee,j as Ae,k as s,m as Se,n as _,o as O,p as g,q as xe,r as D,s as C,t as y,u as J,v as Te,w as $,x as _e,y as v,z as N}from"./shared-2TYF76UC.js";var Ne=e=>(...n)=>({_$litDirective$:e,values:n}),R=class{constructor(n){}get _$AU(){return this._$AM._$AU}_$AT(n,t,o){this._$Ct=n,this._$AM=t,this._$Ci=o}_$AS(n,t){return this.update(n,t)}update(n,t){return this.render(...t)}};var{I:eo}=we;var In={},Re=(e,n=In)=>e._$AH=n;var je=Ne(class extends R{constructor(){super(...arguments),this.key=d}render(e,n){return this.key=e,n}update(e,[n,t]){return n!==this.key&&(Re(e),this.key=n),t}});var We=8,En=["REASON_CODE_HIGHEST_NET_VALUE","REASON_CODE_EXPLORATION"];function Ue(e){return e.context?["past","present","predicted"].map(n=>An(e,n)):r`<div class="card empty">${s("reading")}</div>`}function Me({person:e,customer:n,context:t}){let o=(e?.aliases??[]).map(a=>a.aliasId);return r`<section class="card who" aria-labelledby="who">
    <div class="in row">
      <h1 id="who" tabindex="-1">${e?.customerId||n}</h1>
      ${o.length?r`<p class="small muted">${s("also known as",{ids:o.join(", ")})}</p>`:d}
      ${t?r`<span class="chip accent">${s("consent")}: ${t.consentLevel}</span>`:d}
    </div>
  </section>`}function An(e,n){let t=(e.context.fields??[]).filter(f=>f.fieldId.startsWith(`${n}.`)),o=Sn(e),a=t.filter(f=>j(f)==="KNOWN").sort((f,m)=>o(m)-o(f)),i=t.filter(f=>j(f)==="HIDDEN"),u=t.filter(f=>!["KNOWN","HIDDEN"].includes(j(f))),p=e.all[n]?a:a.slice(0,We);return r`<section class="card tense ${n}" aria-labelledby="tense-${n}">
    <header><h2 id="tense-${n}">${s(`tense ${n}`)}</h2></header>
    <div class="in">
      ${n==="present"?Rn(e):d}
      <ul class="facts">
        ${p.map(Tn)} ${i.map(_n)}
      </ul>
      ${a.length>We?xn(e,n,a.length):d}
      ${a.length+i.length===0&&n!=="present"?r`<p class="muted">${s("nothing known")}</p>`:d}
      ${u.length?On(u):d}
    </div>
  </section>`}var j=e=>(e.state??"").replace("FIELD_KNOWLEDGE_","");function Sn({answer:e,explanation:n}){let t=(e?.answers??[]).flatMap(i=>i.reasons??[]),o=new Set(t.filter(i=>!En.includes(i.code)).flatMap(i=>i.fields??[])),a=new Set((n?.explanation?.fields??[]).filter(i=>i.used).map(i=>i.fieldId));return({fieldId:i,occurredAt:u})=>(o.has(i)?2e15:a.has(i)?1e15:0)+(Date.parse(u)||0)}function xn(e,n,t){let o=!!e.all[n];return r`<button class="button quiet small" aria-expanded=${o} @click=${()=>c({all:{...e.all,[n]:!o}})}>
    ${o?s("show fewer"):s("show all",{n:t})}
  </button>`}function Tn(e){return r`<li>
    <div class="fact"><span class="name">${b(e.fieldId)}</span><span class="value">${Dn(e)}</span></div>
    <div class="origin">
      ${e.occurredAt?r`<time datetime=${e.occurredAt}>${D((Date.now()-new Date(e.occurredAt))/1e3)}</time>`:d}
      <span>${Cn(e)}</span><span>${Nn(e)}</span>
    </div>
  </li>`}function _n(e){return r`<li class="hidden-fact">
    <div class="fact"><span class="name">${b(e.fieldId)}</span><span class="value">${s("hidden")}</span></div>
    <div class="origin"><span>${s("needs consent",{purpose:s(`purpose ${e.purpose}`)})}</span></div>
  </li>`}function On(e){return r`<details>
    <summary class="small muted">${s("not known",{n:e.length})}</summary>
    <ul class="facts small">
      ${e.map(n=>r`<li><div class="fact"><span class="name">${b(n.fieldId)}</span>
        <span class="muted">${s(`knowledge ${j(n)}`)}</span></div></li>`)}
    </ul>
  </details>`}function b(e){let n=e.replace(/^\w+\./,"").replaceAll("_"," ");return n.charAt(0).toUpperCase()+n.slice(1)}function Dn(e){let n=v(e.value);return typeof n=="number"&&e.fieldId?.startsWith("predicted.")&&n>=0&&n<=1?O(n):S(n)}function S(e){return e===void 0?s("unknown"):typeof e=="boolean"?s(e?"yes":"no"):typeof e=="number"?_(e):e instanceof Date?xe(e):Array.isArray(e)?e.length?e.map(z).join(", "):s("none"):z(e)}var z=e=>String(e).replaceAll("_"," ");function Cn(e){let n=(e.source??"").replace("FIELD_SOURCE_","");return n==="EVENTS"?s("from events",{events:(e.sourceEvents??[]).join(", ")}):n==="MODEL"?s("from model",{model:(e.modelVersion??"").split("@")[0]||"–"}):Se(`source ${n}`)?s(`source ${n}`):n.toLowerCase()}var Nn=e=>s("for purpose",{purpose:s(`purpose ${e.purpose}`)});function Rn(e){let n=(e.vocabulary?.requestFields??[]).filter(t=>jn(t,e.channel));return n.length?r`<div class="now" role="group" aria-label=${s("what you see now")}>
    ${n.map(t=>Wn(t)?Bn(e,t):Un(e,t))}
  </div>`:d}var Be=["present.page","present.device"],jn=(e,n)=>n==="web"===Be.includes(e.id)||!Be.includes(e.id),Wn=e=>e.id.endsWith(".sentiment");function Bn(e,n){let t={upset:-.6,calm:.2,happy:.7};return r`<div role="group" aria-label=${s("mood")}>
    <span class="small muted">${s("mood")}</span>
    <div class="mood">
      ${Object.entries(t).map(([o,a])=>r`<button class="button small" aria-pressed=${e.seen[n.id]===a}
        data-mood=${o} @click=${()=>Q(e,n,a)}>${s(`mood ${o}`)}</button>`)}
    </div>
  </div>`}function Un(e,n){let t=`seen-${n.id}`;return r`<div>
    <label for=${t}>${b(n.id)}</label>
    ${n.values?.length?r`<select id=${t} .value=${e.seen[n.id]??""} @change=${o=>Q(e,n,o.target.value)}>
          <option value="">${s("not said")}</option>
          ${n.values.map(o=>r`<option value=${o} ?selected=${e.seen[n.id]===o}>${z(o)}</option>`)}
        </select>`:r`<input id=${t} type=${n.type==="string"?"text":"number"} min=${n.low??d} max=${n.high??d}
          .value=${String(e.seen[n.id]??"")} @change=${o=>Q(e,n,o.target.value)} />`}
  </div>`}function Q(e,n,t){let o={...e.seen};t===""?delete o[n.id]:o[n.id]=["int","double"].includes(n.type)?Number(t):t,e.seeAgain(o)}var Mn=[["ticket.opened",{topic:"network"}],["ticket.closed",{}],["delivery.delayed",{days:3}],["delivery.arrived",{}],["survey.closed",{verdict:"unhappy"}],["survey.closed",{verdict:"happy"}],["cart.updated",{value:89.9}],["cart.bought",{}],["invoice.unpaid",{amount:49}],["invoice.paid",{}]];function Fe(e,n){let t=e.vocabulary?.events??[],o=Mn.filter(([a])=>t.some(i=>i.type===a));return r`<section class="card" aria-labelledby="fire">
    <header><h2 id="fire" tabindex="-1">${s("fire")}</h2><span class="grow"></span>
      <button class="button quiet small" @click=${()=>c({panel:!1})}>${s("close")} <kbd>e</kbd></button></header>
    <div class="in fire">
      ${o.length?X(s("something happens"),o.map(([a,i])=>W(Fn(a,i),a,()=>n.fire(a,i)))):d}
      ${X(s("consent"),(e.vocabulary?.levels??[]).map(a=>W(s("consent to",{level:a.levelId}),`consent.${a.levelId}`,()=>n.consent(a.levelId))))}
      ${Hn(e,n)} ${Ln(e,t,n)}
      <ol class="small muted" aria-live="polite">${e.fired.slice(0,5).map(a=>r`<li>${g(a.at)} ${a.words}</li>`)}</ol>
    </div>
  </section>`}var X=(e,n)=>r`<div class="group" role="group" aria-label=${e}><h3 class="small">${e}</h3><div>${n}</div></div>`,W=(e,n,t)=>r`<button class="button small" data-fire=${n} @click=${t}>${e}</button>`,Fn=(e,n)=>s(n.verdict?`fire ${e} ${n.verdict}`:`fire ${e}`);function Hn(e,n){let t=e.vocabulary?.supplies??[];if(!t.length)return d;let a=[...new Map(t.map(i=>[`${i.item} (${n.placeOf(i)??b(i.placeFieldId)})`,i]))].flatMap(([i,u])=>[W(s("empty stock",{item:i}),`empty.${u.fieldId}`,()=>n.supply(u,0)),W(s("fill stock",{item:i}),`fill.${u.fieldId}`,()=>n.supply(u,500))]);return X(s("stock"),a)}function Ln(e,n,t){let o=n.find(a=>a.type===e.form?.type);return r`<details>
    <summary class="small">${s("any event")}</summary>
    <form class="now" @submit=${a=>Pn(a,o,t)}>
      <div><label for="event">${s("event")}</label>
        <select id="event" @change=${a=>c({form:{type:a.target.value}})}>
          <option value="">${s("choose")}</option>
          ${n.map(a=>r`<option value=${a.type} ?selected=${a===o}>${a.type}</option>`)}
        </select></div>
      ${o?je(o,r`<p class="small muted">${o.says}</p>${(o.attributes??[]).map(a=>qn(a,t))}
        <button class="button small">${s("send")}</button>`):d}
    </form>
  </details>`}function qn(e,n){let t=`attribute-${e.name}`,o=e.values?.length?r`<select id=${t} name=${e.name}>${e.values.map(a=>r`<option>${a}</option>`)}</select>`:e.type==="bool"?r`<select id=${t} name=${e.name}><option value="true">${s("yes")}</option><option value="">${s("no")}</option></select>`:r`<input id=${t} name=${e.name} ?required=${!e.optional}
          type=${["int","double"].includes(e.type)?"number":e.type==="timestamp"?"datetime-local":"text"}
          step=${e.type==="double"?"any":d} min=${e.low??d} max=${e.high??d} .value=${String(n.usual(e))} />`;return r`<div><label for=${t}>${b(e.name)}</label>${o}</div>`}function Pn(e,n,t){e.preventDefault();let o=[...new FormData(e.target)].filter(([,a],i)=>a!==""||n.attributes[i]?.type==="bool");t.fire(n.type,Object.fromEntries(o))}function He(e,n){let{journey:t}=e;return r`<section class="card" aria-labelledby="journey">
    <header><h2 id="journey" tabindex="-1">${s("journey")}</h2></header>
    <div class="in">
      ${t?.hiddenEventTypes?.length?Vn(t.hiddenEventTypes):d}
      ${t?.entries?.length?r`<ol class="timeline">${t.entries.map(o=>Gn(o,e))}</ol>`:r`<p class="muted">${s(t?"no journey":"reading")}</p>`}
      ${t?.nextPageToken?r`<button class="button quiet small" @click=${n.older}>${s("older")}</button>`:d}
    </div>
  </section>`}function Vn(e){return r`<details class="small muted"><summary>${s("events hidden",{n:e.length})}</summary>${e.join(", ")}</details>`}function Gn(e,n){let t=e.event?"event":e.decision?"decision":e.outcome?"outcome":"consent",o=(Date.now()-new Date(e.at))/1e3;return r`<li class="${t} ${e.momentOfTruth?"truth":""}" data-entry=${t}>
    <time datetime=${e.at} title=${D(o)}>${g(e.at)}</time>
    <div>${Kn[t](e[t],n)}
      ${e.momentOfTruth?r`<span class="mark">◆ ${s("moment of truth")}</span>`:d}</div>
  </li>`}var Kn={event:e=>r`${e.says||e.type}`,decision:e=>r`<b>${s("decided",{channel:e.channel})}</b>
    ${(e.placements??[]).map(n=>r`<div class="small muted">${n.placement}: ${n.hidden?s("hidden"):n.says||n.actionId||Jn(n)}</div>`)}`,outcome:(e,{vocabulary:n})=>r`<b>${s(`outcome ${e.kind.replace("OUTCOME_KIND_","")}`)}</b>: ${e.hidden?s("hidden"):n?.actions[e.actionId]?.says||e.actionId}`,consent:e=>r`<b>${s("consent")}</b>: ${e.levelBefore?`${e.levelBefore} → `:""}${e.level}`},Jn=e=>r`${s("nothing said")}${e.reasons?.length?` – ${e.reasons[0].sentence}`:""}`;var Yn=[["ACCEPTED","2","primary"],["REFUSED","3",""],["NOT_NOW","4",""],["NEVER","5",""]];function w(e){let n=e.greeting?"greeting":e.offer?"offer":"suppression";return{kind:n,placement:e.placement,reasons:e.reasons??[],...e[n]??{}}}function Le(e,n){let{answer:t}=e;return r`
    <div role="alert">${e.withdrawn.length?Xn(e,n):d}</div>
    <p class="small" role="status" ?hidden=${!e.early}>${e.early?s("too early"):d}</p>
    ${e.cause?r`<p class="small muted" id="cause">${s("changed because",{cause:zn(e),at:g(e.cause.at)})}</p>`:d}
    ${t?.degraded?r`<p class="notice warn">${s("degraded")} ${qe(t.degradedReasons)}</p>`:d}
    <div class="stack" aria-live="polite" aria-relevant="additions text">
      ${t?(t.answers??[]).map(o=>Zn(e,w(o),n)):r`<div class="card empty">${s("deciding")}</div>`}
    </div>`}var qe=(e=[])=>e.map(n=>n.sentence).join(" ");function zn({cause:e,vocabulary:n}){let t=n?.events.find(o=>e.kind==="EVENT"&&o.type===e.name);return t?`${t.says} (${t.type})`:[s(`cause ${e.kind}`),e.name].filter(Boolean).join(": ")}var Qn=({words:e,actionId:n},t)=>e?r`<s>${e}</s>`:r`<b>${t[n]?.says}</b>`;function Xn({withdrawn:e,vocabulary:n},t){let o=n?.actions??{};return r`<div class="withdrawn">
    <div class="stack">
      <strong>${s("do not say it")}</strong>
      ${e.map(a=>r`<div data-withdrawn=${a.actionId}>${Qn(a,o)}
        <span>${a.reasons?.[0]?.sentence||s("no longer valid")}</span></div>`)}
    </div>
    <button class="button small" @click=${t.understood}>${s("understood")} <kbd>u</kbd></button>
  </div>`}function Zn(e,n,t){if(n.kind==="suppression")return et(n,t);let o=n.kind==="greeting"?"greeting":"offer";return r`<section class="card say ${o} fresh" data-kind=${o} data-action=${n.actionId} aria-label=${s(`card ${o}`)}>
    <header>
      <h2>${s(o==="offer"&&!n.sells?"card message":`card ${o}`)}</h2>
      <span class="grow"></span>
      ${(n.intents??[]).map(a=>r`<span class="chip">${a.replaceAll("_"," ")}</span>`)}
    </header>
    <div class="in">
      <p class="words">${n.text}</p>
      <p class="because small">${qe(n.reasons.slice(0,1))} ${Pe(n,t)}</p>
      ${nt(e,n,t)}
    </div>
  </section>`}function et(e,n){let[t,...o]=e.reasons,a=e.until??t?.until;return r`<section class="card say none fresh" data-kind="suppression" aria-label=${s("card none")}>
    <header><h2>${s("card none")}</h2><span class="grow"></span><span class="chip warn">${s("hold back")}</span></header>
    <div class="in">
      <p class="words">${t?.sentence}</p>
      <p class="because small">
        ${a?r`<span data-ends=${a}>${s("ends at",{when:C(a)})}</span>`:s("ends with facts")}
        ${e.heldBackActionId?s("held back",{action:e.heldBackActionId}):d} ${Pe(e,n)}
      </p>
      ${o.length?r`<details class="small muted"><summary>${s("more reasons",{n:o.length})}</summary>
        <ul>${o.map(i=>r`<li>${i.sentence}</li>`)}</ul></details>`:d}
    </div>
  </section>`}var Pe=(e,n)=>r`<button class="link" aria-label="${s("why")} (${e.placement})" @click=${()=>n.about(e.placement)}>${s("why")}</button>`;function Z(e,n){return e.kind==="greeting"?[["SHOWN","s","said",""]]:[["SHOWN","1",n==="desk"?"said or shown":"shown",""],...Yn.map(([o,a,i])=>[o,a,`outcome ${o}`,i])]}function nt(e,n,t){let o=e.outcomes[`${e.answer.decisionId}/${n.actionId}`]??{};return e.answer.decisionId?r`<div class="row outcomes" role="group" aria-label=${s("what came of it")}>
    ${Z(n,e.channel).map(([a,i,u,p])=>r`<button class="button small ${p}" data-outcome=${a}
      aria-pressed=${o[a]==="stored"} aria-disabled=${o[a]==="sending"} @click=${()=>t.outcome(n,a)}>
      ${o[a]==="stored"?"✓ ":d}${s(o[a]==="sure"?"once more":u)} <kbd>${i}</kbd></button>`)}
  </div>`:d}var I={};kn(I,{about:()=>It,begin:()=>A,consent:()=>xt,enter:()=>ge,find:()=>be,fire:()=>St,goWhereTold:()=>P,learn:()=>on,leave:()=>ye,older:()=>wt,onChannel:()=>me,open:()=>q,outcome:()=>fe,placeOf:()=>rn,seeAgain:()=>sn,supply:()=>Tt,understood:()=>$e,usual:()=>an,whatIf:()=>kt});var oe=250,tt=8e3,ee=1e4,ot=60,st=20,le=new AbortController,se=0,ae=0,k=new Map,B=new Set,U="";function E(e){e?.name!=="AbortError"&&(c({problem:Ge(e)}),Ke(e))}var Ge=e=>({code:e instanceof y?e.code:"internal",words:e.message??String(e)});function Ke({code:e}){["unauthenticated","permission_denied"].includes(e)&&c({tokens:!0}),e==="unauthenticated"&&c({dialog:"token"})}var M=()=>le.signal,F=()=>le.abort();function Je(){F(),k.clear(),B.clear(),U=""}function Ye(){B.clear(),x()}function at(){let e=l.vocabulary.channels.find(o=>o.channelId===l.channel),n=Object.fromEntries(l.vocabulary.requestFields.map(o=>[o.id,o.type])),t=Object.entries(l.seen).filter(([o])=>n[o]);return{customerId:l.customer,channel:l.channel,placements:e.placements,context:Object.fromEntries(t.map(([o,a])=>[o,N(n[o],a)]))}}function rt(){let e=JSON.stringify([l.customer,l.channel]),n=k.get(e)??{cursor:"",answer:null};return k.delete(e),k.set(e,n),k.size>st&&k.delete(k.keys().next().value),n.asked=!0,n}async function x(){F();let e=le=new AbortController;c({answer:null,cause:null,explanation:null,whatIf:{},live:"connecting"}),tn(e.signal);let n=rt();for(let t=oe;!e.signal.aborted;t=ze(t)){try{await dt(n,e.signal,()=>t=oe)}catch(o){if(e.signal.aborted)return;if(o.code==="invalid_argument"&&n.cursor){n.cursor="";continue}if(o.code==="permission_denied"&&ct())return;if(re(o))return lt(o)}if(e.signal.aborted)return;c({live:"broken"}),await Qe(t)}}var ze=e=>Math.min(e*2,tt);function Qe(e){return new Promise(n=>{let t=setTimeout(n,e*(.5+Math.random()));addEventListener("online",()=>(clearTimeout(t),n()),{once:!0})})}var it=["unauthenticated","permission_denied","invalid_argument","failed_precondition","not_found","unimplemented"],re=e=>!(e instanceof y)||it.includes(e.code);function lt(e){e.code==="unauthenticated"&&H(),E(e),c({live:"stopped"})}function ct(){let e=l.channel;B.add(e);let n=l.vocabulary.channels.map(o=>o.channelId),t=[U,...n].find(o=>n.includes(o)&&!B.has(o));return t?(c({channel:t,outcomes:{},tokens:!0,problem:{code:"",words:s("channel barred",{channel:e,instead:t})}}),x(),!0):!1}async function dt(e,n,t){let o={question:at(),cursor:e.cursor,heartbeatMs:ee,everyCause:!0},a=new AbortController,i=()=>a.abort(new y("unavailable",s("silence"))),u=setTimeout(i,2*ee);addEventListener("offline",i,{signal:a.signal});try{for await(let p of _e("DecisionService/Watch",o,AbortSignal.any([n,a.signal]))){if(n.aborted)return;clearTimeout(u),u=setTimeout(i,2*ee),t(),e.cursor=p.cursor,U!==o.question.channel&&h.set("channel",U=o.question.channel),c({live:"live"}),mt(p,e,n)}}finally{clearTimeout(u),i()}}var Xe=e=>(e.kind??"").replace("WATCH_CAUSE_KIND_","")||"UNSPECIFIED",ut=["UNSPECIFIED","CONSENT","IDENTITY","ERASED"];function pt({causes:e=[],kind:n,moreCauses:t}){return e.some(o=>ut.includes(Xe(o)))||!!t||n==="WATCH_KIND_WITHDRAWN"&&!e.length}function mt(e,n,t){let o=e.kind.replace("WATCH_KIND_",""),a=o==="ANSWER"?e.answer:l.answer?null:n.answer,i=pt(e);i&&H(),o==="WITHDRAWN"&&!n.asked&&ft(e.withdrawn??[],i),!(o==="HEARTBEAT"&&!a&&!i)&&(o!=="WITHDRAWN"&&a&&(Ze(a),c({answer:a,cause:n.asked?null:$t(e),explanation:null,whatIf:{}}),Object.assign(n,{answer:a,asked:!1})),en(t,!!a||i))}function H(){se+=1,ae+=1;let e=l.withdrawn.map(n=>({...n,words:""}));c({context:null,person:null,journey:null,explanation:null,whatIf:{},withdrawn:e})}var ne="";function Ze(e){let n=JSON.stringify([l.customer,(e?.answers??[]).map(t=>w(t).actionId)]);if(ne&&n!==ne){let t=performance.now();c({changedAt:t,early:l.early&&t-l.changedAt<1e3})}ne=n}function ft(e,n){let t=(l.answer?.answers??[]).map(w),o=p=>n?"":t.find(f=>f.placement===p.placement)?.text??"",a=e.map(p=>({...p,words:o(p)})),i=(l.answer?.answers??[]).filter(p=>!e.some(f=>f.placement===p.placement)),u=l.answer&&{...l.answer,answers:i};Ze(u),c({withdrawn:a.reverse(),answer:u,explanation:null,whatIf:{}})}function $t(e){let n=e.causes?.at(-1);return n?{kind:Xe(n),name:n.name,at:n.at??e.toldAt}:null}var Ve,te=!1;function en(e,n){clearTimeout(Ve),te||=n,Ve=setTimeout(()=>{e.aborted||(tn(e),te&&bt(e),te=!1)},ot)}var L=()=>en(M(),!1),nn={context:(e,n)=>$("ContextService/GetContext",e,n),person:(e,n)=>$("IdentityService/GetIdentities",e,n).then(t=>t.person),journey:(e,n)=>$("JourneyService/GetJourney",{...e,limit:40},n)};async function tn(e){let n=++se,t=()=>e.aborted||n!==se,o=Object.keys(nn);for(let a=oe;;a=ze(a)){let i=(await Promise.all(o.map(p=>ht(p,e,t)))).filter(Boolean);if(t())return;if(!i.length)return c({unread:null});let u=(i.find(([,p])=>re(p))??i[0])[1];if(c({unread:Ge(u)}),Ke(u),o=i.filter(([,p])=>!re(p)).map(([p])=>p),!o.length||(await Qe(a),t()))return}}async function ht(e,n,t){try{let o=await nn[e]({customerId:l.customer},{signal:n});return t()||c({[e]:o}),null}catch(o){return[e,o]}}async function bt(e){let n=l.answer?.decisionId,t=ce(n);if(!n)return c({explanation:{incomplete:s("nothing recorded")}});try{let o=await $("DecisionService/ExplainDecision",{decisionId:n},{signal:e});t()&&c({explanation:o})}catch(o){!e.aborted&&t()&&c({explanation:{incomplete:o.message}})}}function ce(e){let n=ae;return()=>n===ae&&l.answer?.decisionId===e}var gt=["unauthenticated","permission_denied","invalid_argument"],yt=5e3,ue={customer:"",found:null,context:null,person:null,journey:null,unread:null,answer:null,cause:null,explanation:null,about:"",whatIf:{},outcomes:{},withdrawn:[],fired:[],form:null,seen:{},all:{},problem:null,live:"idle"};async function on(){let e=await $("InsightService/GetStrategy"),n=e.fields??[],t={version:e.version,name:e.name,currency:e.currency,channels:e.channels??[],levels:e.levels??[],events:e.events??[],actions:Object.fromEntries((e.actions??[]).map(i=>[i.actionId,i])),requestFields:n.filter(i=>i.source==="FIELD_SOURCE_REQUEST").map(i=>({...i,id:i.fieldId})),supplies:n.filter(i=>i.item)},o=t.channels.map(i=>i.channelId),a=[l.channel,h.get("channel","desk"),o[0]];c({vocabulary:t,channel:a.find(i=>o.includes(i))})}var T=e=>async(...n)=>{try{return await e(...n)}catch(t){E(t)}};function pe(){let e=location.hash.slice(1);try{return decodeURIComponent(e)}catch{return e}}function q(e){if(pe()!==e&&history.pushState(null,"",`#${encodeURIComponent(e)}`),!l.vocabulary)return A();c({...ue,customer:e,seen:vt()}),document.title=`${e} · Tact`,Ye()}function P(){let e=pe();if(e)return q(e);F(),c({...ue}),document.title="Tact"}function vt(){let e=l.vocabulary?.requestFields.find(n=>n.id.endsWith(".sentiment"));return e?{[e.id]:.2}:{}}function sn(e){c({seen:e}),x()}l.seeAgain=sn;function me(e){c({channel:e,outcomes:{}}),l.customer&&x()}var wt=T(async()=>{let{journey:e,customer:n}=l,t={customerId:n,limit:40,pageToken:e.nextPageToken},o=await $("JourneyService/GetJourney",t,{signal:M()});l.journey===e&&c({journey:{...o,entries:[...e.entries,...o.entries??[]]}})});async function kt(e,n,t){let o=l.answer?.decisionId,a=ce(o),i=u=>a()&&c({whatIf:{...l.whatIf,[e]:u}});i({busy:!0});try{let u={decisionId:o,actionIds:[e],whatIf:{actionId:e,goal:`WHAT_IF_GOAL_${n}`,placement:t}},p=await $("DecisionService/ExplainDecision",u,{seconds:30,signal:M()});i(p.whatWouldChange??{failed:p.incomplete})}catch(u){u.name!=="AbortError"&&i({failed:u.message})}}function It(e){c({about:e}),requestAnimationFrame(()=>document.getElementById("why")?.focus())}async function fe(e,n){let t=`${l.answer.decisionId}/${e.actionId}`;if(Object.values(l.outcomes[t]??{}).includes("sending")||l.outcomes[t]?.[n]==="stored")return;let o=i=>c({outcomes:{...l.outcomes,[t]:{...l.outcomes[t],[n]:i}}}),a={decisionId:l.answer.decisionId,actionId:e.actionId,kind:`OUTCOME_KIND_${n}`};if(n==="NEVER"&&l.outcomes[t]?.NEVER!=="sure")return setTimeout(()=>l.outcomes[t]?.NEVER==="sure"&&o(""),yt),o("sure");o("sending");try{let{results:i}=await $("OutcomeService/RecordOutcomes",{outcomes:[a]}),u=["OUTCOME_STATUS_STORED","OUTCOME_STATUS_REPEATED"].includes(i[0].status);o(u?"stored":"refused"),u||c({problem:{code:"invalid_argument",words:i[0].violations?.[0]?.description??i[0].status}}),L()}catch(i){o(""),E(i)}}var $e=()=>c({withdrawn:[]}),he=e=>c({fired:[{at:Date.now(),words:e},...l.fired].slice(0,20),problem:null});function an(e){return e.type==="timestamp"?Et(new Date(Date.now()+30*864e5)):["int","double"].includes(e.type)?e.low??0:e.type==="string"&&!e.optional?`${l.customer}-1`:""}var Et=e=>new Date(e-e.getTimezoneOffset()*6e4).toISOString().slice(0,16),At=()=>Array.from(crypto.getRandomValues(new Uint8Array(16)),e=>e.toString(16).padStart(2,"0")).join(""),St=T(async(e,n)=>{let o=(l.vocabulary.events.find(m=>m.type===e)?.attributes??[]).map(m=>[m,n[m.name]??(m.optional?"":m.values?.[0]??an(m))]),a=Object.fromEntries(o.filter(([m,K])=>K!==""||m.type==="bool").map(([m,K])=>[m.name,N(m.type,K)])),i={eventId:`desktop-${At()}`,customerId:l.customer,type:e,occurredAt:new Date().toISOString(),attributes:a},{results:u}=await $("ContextService/RecordEvents",{events:[i]}),{status:p,violations:f=[]}=u[0];if(p!=="EVENT_STATUS_STORED")throw new y("invalid_argument",f.map(m=>`${m.field}: ${m.description}`).join("; ")||p);he(e),L()}),xt=T(async e=>{let{consent:n}=await $("ContextService/GetConsent",{customerId:l.customer});await $("ContextService/SetConsent",{customerId:l.customer,consent:{level:e,contactChannels:n?.contactChannels??[],source:"desktop"}}),H(),he(`${s("consent")}: ${e}`),L()}),rn=e=>e.place||l.seen[e.placeFieldId]||v(l.context?.fields?.find(n=>n.fieldId===e.placeFieldId)?.value),Tt=T(async(e,n)=>{let t=rn(e);if(!t)throw new y("invalid_argument",s("no place",{field:e.placeFieldId}));let o=new Date,a={item:e.item,place:t,available:String(n),observedAt:o.toISOString(),expiresAt:new Date(+o+864e5).toISOString()},{results:i}=await $("SupplyService/ReportSupply",{reports:[a]});if(i[0].violations?.length)throw new y("invalid_argument",i[0].violations[0].description);he(`${e.item}@${t}: ${n}`)}),de=new AbortController;async function be(e){if(de.abort(),de=new AbortController,!e.trim())return c({found:null});c({found:{query:e,customers:l.found?.customers??[],at:-1}});let{signal:n}=de;try{if(await new Promise(o=>setTimeout(o,150)),n.aborted)return;let t=await $("JourneyService/SearchCustomers",{query:e.trim(),limit:8},{signal:n});l.found?.query===e&&c({found:{...l.found,customers:t.customers??[],read:!0},problem:null})}catch(t){n.aborted||E(t)}}var ge=T(async e=>{J(e),ln(),await A()});function ye(){J(""),history.replaceState(null,"",location.pathname),document.title="Tact",ln(),A()}function ln(){Je(),c({...ue,vocabulary:null,channel:"",dialog:""})}async function A(){try{await on()}catch(e){E(e),gt.includes(e.code)&&(l.tokens||Te())&&c({dialog:"token"});return}c({problem:null}),pe()&&P()}var dn=["/","s","1","2","3","4","5","w","c","o","j","e","u","t","?"],cn={w:"why",c:"change",o:"others",j:"journey"};function un(e){addEventListener("keydown",n=>{n.ctrlKey||n.metaKey||n.altKey||n.target.closest("input, select, textarea, dialog")||!dn.includes(n.key)||!pn()&&n.key!=="?"||(n.preventDefault(),n.repeat||e(n.key))})}var pn=()=>h.get("keys","on")==="on";function mn(e,n){return e==="/"?n.search():e==="t"?n.theme():e==="e"?n.panel():e==="?"?n.help():e==="u"?$e():(e==="c"&&_t(),e in cn?document.getElementById(cn[e])?.focus():Ot(e))}function _t(){document.querySelector("[data-what-if]")?.click()}function Ot(e){if(performance.now()-l.changedAt<1e3)return c({early:!0});c({early:!1});for(let n of(l.answer?.answers??[]).map(w)){let t=n.actionId&&Z(n,l.channel).find(([,o])=>o===e);if(t&&n.kind!=="suppression")return fe(n,t[0])}}function fn(e){return e.dialog!=="keys"?d:r`<dialog aria-labelledby="keys-title" @close=${()=>c({dialog:""})}>
    <h3 id="keys-title">${s("keys")}</h3>
    <dl class="keys">${dn.map(n=>r`<dt><kbd>${n}</kbd></dt><dd>${s(`key ${n}`)}</dd>`)}</dl>
    <p><label><input type="checkbox" .checked=${pn()} @change=${n=>h.set("keys",n.target.checked?"on":"off")} /> ${s("single keys")}</label></p>
    <button class="button" autofocus @click=${()=>c({dialog:""})}>${s("close")}</button>
  </dialog>`}var $n=6;function hn(e,n){let t=e.explanation;if(!e.answer)return d;if(!t)return r`<section class="card"><div class="in muted">${s("explaining")}</div></section>`;if(t.incomplete)return r`<section class="card"><div class="in notice warn">${t.incomplete}</div></section>`;let o=t.explanation?.placements??[],a=Dt(e);if(!a)return d;let i=w(a);return r`
    <section class="card" aria-labelledby="why">
      <header><h2 id="why" tabindex="-1">${s("why this")}</h2><span class="chip">${i.placement}</span></header>
      <div class="in">${Ct(t,i,o.find(u=>u.placement===i.placement),e.vocabulary?.currency)}</div>
    </section>
    <section class="card" aria-labelledby="change">
      <header><h2 id="change" tabindex="-1">${s("what would change it")}</h2></header>
      <div class="in">${Ft(e,i,n)}</div>
    </section>
    <section class="card" aria-labelledby="others">
      <header><h2 id="others" tabindex="-1">${s("why not the others")}</h2></header>
      <div class="in">${Bt(e,t,i,n)}</div>
    </section>`}function Dt({answer:e,about:n}){let{answers:t}=e;return t.find(o=>o.placement===n)??t.find(o=>!o.greeting)??t[0]}function Ct(e,n,t,o){let a=Nt(e,n.actionId),i=(a?.checks??[]).flatMap(u=>u.comparisons??[]);return r`
    <ul>${n.reasons.map(u=>r`<li>${u.sentence} ${bn(u)}</li>`)}</ul>
    ${t?.askedBy?r`<p class="small muted">${s("asked by",{sentence:t.askedBy.sentence})}</p>`:d}
    ${t?.stages?.length?Rt(t):d}
    ${a?.score?jt(a.score,o):d}
    ${i.length?r`<ul class="small muted">${i.map(Wt)}</ul>`:d}
    ${e.withheld?r`<p class="small muted">${s("withheld")}</p>`:d}`}var Nt=(e,n)=>(e.explanation?.actions??[]).find(t=>t.actionId===n),bn=e=>e.until?r`<span class="muted small">(${s("ends at",{when:C(e.until)})})</span>`:d;function Rt(e){let n=e.stages.map(t=>[t.stage.replace("DECISION_STAGE_",""),t.actions??0]);return r`<ul class="funnel" aria-label=${s("the way here")}>
    ${n.map(([t,o])=>r`<li>${s(`stage ${t}`)} <b>${o}</b></li>`)}
  </ul>`}function jt(e,n){let t=(a=0)=>_(a,{style:"currency",currency:n||"EUR"}),o=[["probability",O(e.propensity??0),s(e.modelled?"by the model":"by the prior")],["value",t(e.value),""],["reward",t(e.reward),""],["cost",t(e.cost),""],["net value",t(e.netValue),""]];return r`<dl class="parts">
    ${o.map(([a,i,u])=>r`<div><dt>${s(a)}</dt><dd>${i} ${u?r`<small class="muted">${u}</small>`:d}</dd></div>`)}
  </dl>`}function Wt(e){let n=(e.fields??[]).map(b).join(", ");return r`<li>${s("observed",{field:n||e.expression,value:S(v(e.observed))})}</li>`}function Bt(e,n,t,o){let a=(n.explanation?.actions??[]).filter(u=>u.actionId!==t.actionId&&Ut(u,t.placement));a.sort((u,p)=>(u.vetoes?.length?1:0)-(p.vetoes?.length?1:0)||(p.netValue??0)-(u.netValue??0));let i=e.all.others?a:a.slice(0,$n);return a.length?r`<ul class="others">${i.map(u=>Mt(e,u,t,o))}</ul>
    ${a.length>$n?r`<button class="button quiet small" aria-expanded=${!!e.all.others} @click=${()=>c({all:{...e.all,others:!e.all.others}})}>
          ${e.all.others?s("show fewer"):s("show all",{n:a.length})}</button>`:d}`:r`<p class="muted">${s("no others")}</p>`}var Ut=(e,n)=>(e.placements??[]).some(t=>t.placement===n&&t.passed&&t.passed!=="DECISION_STAGE_UNSPECIFIED");function Mt(e,n,t,o){let a=(n.placements??[]).find(p=>p.placement===t.placement),i=(n.vetoes??[])[0],u=i?.sentence??(a?.beatenBy?s("beaten by",{action:a.beatenBy}):s("not worth it"));return r`<li data-other=${n.actionId}>
    <div><b>${n.actionId}</b> <span class="muted small">${u}</span> ${i?bn(i):d}
      ${n.vetoes?.length>1?r`<span class="chip">${s("and more",{n:n.vetoes.length-1})}</span>`:d}</div>
    <button class="button quiet small" aria-label="${s("and if")} ${n.actionId}"
      @click=${()=>o.whatIf(n.actionId,"WIN",t.placement)}>${s("and if")}</button>
    ${e.whatIf[n.actionId]?r`<div class="change">${gn(e.whatIf[n.actionId])}</div>`:d}
  </li>`}function Ft(e,n,t){let o=n.actionId??n.heldBackActionId;if(!o)return r`<p class="muted">${s("nothing held back")}</p>`;let a=n.actionId?"LOSE":"WIN",i=e.whatIf[o];return r`<div aria-live="polite">
    <p class="small muted">${s(a==="WIN"?"for it to be said":"for it not to be said",{action:o})}</p>
    ${i?gn(i):r`<button class="button" data-what-if @click=${()=>t.whatIf(o,a,n.placement)}>${s("look for it")} <kbd>c</kbd></button>`}
  </div>`}function gn(e){if(e.busy)return r`<p class="muted">${s("looking")}</p>`;if(e.failed)return r`<p class="notice bad">${e.failed}</p>`;let n=(e.verdict??"").replace("WHAT_IF_VERDICT_","");return n!=="FOUND"?r`<p data-verdict=${n}>${s(`verdict ${n}`)} ${(e.stands??[]).slice(0,2).map(t=>t.sentence).join(" ")}</p>`:r`<ul class="changes" data-verdict="FOUND">${(e.changes??[]).map(Ht)}</ul>
    <p class="small muted">${e.thenActionId?s("then said",{action:e.thenActionId}):s("then nothing")}</p>`}function Ht(e){if(e.waitUntil)return r`<li>${e.sentence} <span class="muted small">${g(e.waitUntil)}</span></li>`;let n=e.fieldId?`${b(e.fieldId)}: ${S(v(e.before))} → ${S(v(e.after))}`:"";return r`<li><span>${e.sentence} ${n?r`<span class="muted small">${n}</span>`:d}</span></li>`}var ve=["auto","light","dark"];function Lt(e){return r`<a class="skip" href="#say" @click=${qt}>${s("skip")}</a>
    ${Pt(e)} ${e.dialog==="token"?d:zt(e)}
    ${e.customer?Jt(e):Yt(e)} ${fn(e)} ${Ce(e,ge)}`}function qt(e){e.preventDefault(),document.getElementById("say")?.focus()}function Pt(e){return r`<header class="bar">
    <a class="brand" href="./"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M4 5h16v11H11l-5 4v-4H4z"/><path d="m8.500 10.500 2.300 2.300 4.700-4.700"/></svg>Tact</a>
    <nav aria-label=${s("pages")}><a href="./" aria-current="page">${s("desktop")}</a><a href="strategist.html">${s("strategist")}</a></nav>
    ${Gt(e)}
    ${e.vocabulary?Vt(e):d}
    <span class="grow"></span>
    <span class="live" data-state=${e.live} role="status">${s(`live ${e.live}`)}</span>
    <select aria-label=${s("language")} @change=${n=>(Ae(n.target.value),c({}))}>
      ${Object.entries(Ie).map(([n,t])=>r`<option value=${n} ?selected=${n===Ee()}>${t}</option>`)}
    </select>
    <button class="button quiet small" @click=${yn}>${s(`theme ${V()}`)} <kbd>t</kbd></button>
    <button class="button small" aria-expanded=${e.panel} @click=${wn}>${s("fire")} <kbd>e</kbd></button>
    ${De(e,ye)}
    <button class="button quiet small" aria-label=${s("keys")} @click=${()=>c({dialog:"keys"})}><kbd>?</kbd></button>
  </header>`}var V=()=>h.get("theme","auto");function yn(){h.set("theme",ve[(ve.indexOf(V())+1)%ve.length]),vn(),c({})}function vn(){V()==="auto"?delete document.documentElement.dataset.theme:document.documentElement.dataset.theme=V()}function wn(){c({panel:!l.panel}),l.panel&&requestAnimationFrame(()=>document.getElementById("fire")?.focus())}function Vt(e){return r`<select aria-label=${s("channel")} @change=${n=>me(n.target.value)}>
    ${e.vocabulary.channels.map(({channelId:n})=>r`<option value=${n} .selected=${n===e.channel}>${n}</option>`)}
  </select>`}function Gt(e){let{found:n}=e,t=!!(n?.customers.length||n?.read);return r`<div class="search" role="search">
    <input id="search" type="search" role="combobox" autocomplete="off" spellcheck="false" aria-autocomplete="list" aria-controls="found"
      aria-expanded=${t} aria-activedescendant=${n?.at>=0?`found-${n.at}`:d} aria-label=${s("search")} placeholder=${s("search")}
      @input=${o=>be(o.target.value)} @keydown=${Kt} />
    <kbd aria-hidden="true">/</kbd>
    <ul id="found" class="found" role="listbox" aria-label=${s("customers found")} ?hidden=${!t}>
      ${(n?.customers??[]).map((o,a)=>r`<li id="found-${a}" role="option" aria-selected=${a===n.at} @mousedown=${()=>G(o.customerId)}>
        ${o.customerId}<small>${o.matchedId!==o.customerId?`${o.matchedId} · `:""}${o.consentLevel}</small></li>`)}
      ${t&&!n.customers.length?r`<li role="option" aria-selected="false" @mousedown=${()=>G(n.query)}>${s("nobody found",{id:n.query})}</li>`:d}
    </ul>
  </div>`}function Kt(e){let{found:n}=l,t=n?.customers.length??0,o={ArrowDown:1,ArrowUp:-1}[e.key];o&&t?(e.preventDefault(),c({found:{...n,at:(n.at+o+t)%t}})):e.key==="Enter"&&e.target.value.trim()?(e.preventDefault(),G(n?.customers[n.at]?.customerId??e.target.value.trim())):e.key==="Escape"&&c({found:null})}function G(e){document.getElementById("search").value="",q(e),requestAnimationFrame(()=>document.getElementById("say")?.focus())}function Jt(e){return r`<main class="desk">
    ${Me(e)}
    <div class="stack say-column" id="say" tabindex="-1" aria-label=${s("what to say")} role="region">${Le(e,I)} ${hn(e,I)}</div>
    <div class="stack">${Ue(e)}</div>
    <div class="stack journey-column">${e.panel?Fe(e,I):d} ${He(e,I)}</div>
  </main>`}function Yt(){let e=["anna-ticket","carla-loyal","dave-cart","gina-refused"];return r`<main class="start" id="say" tabindex="-1"><h1>${s("welcome")}</h1><p class="muted">${s("begin")}</p>
    ${l.vocabulary?.name==="demo"?r`<div class="row">${e.map(n=>r`<button class="button" @click=${()=>G(n)}>${n}</button>`)}</div>`:d}
  </main>`}function zt({problem:e,unread:n}){return r`${n?r`<p class="notice bad problem" role="alert" data-unread>${s("not read")} ${Y(n)}</p>`:d}
    ${e?r`<p class="notice bad problem" role="alert">${Y(e)}
      <button class="button quiet small" @click=${()=>c({problem:null})}>${s("understood")}</button></p>`:d}`}var Qt={search:()=>document.getElementById("search").focus(),theme:yn,panel:wn,help:()=>c({dialog:l.dialog==="keys"?"":"keys"})};Oe(e=>{ke(Lt(e),document.body),document.querySelector("dialog:not([open])")?.showModal()});document.body.replaceChildren();vn();un(e=>mn(e,Qt));addEventListener("popstate",P);setInterval(()=>c({}),2e4);c({panel:h.get("panel","")==="open"});A();
/*! Bundled license information:

lit-html/directive.js:
  (**
   * @license
   * Copyright 2017 Google LLC
   * SPDX-License-Identifier: BSD-3-Clause
   *)

lit-html/directive-helpers.js:
  (**
   * @license
   * Copyright 2020 Google LLC
   * SPDX-License-Identifier: BSD-3-Clause
   *)

lit-html/directives/keyed.js:
  (**
   * @license
   * Copyright 2021 Google LLC
   * SPDX-License-Identifier: BSD-3-Clause
   *)
*/
