// Stands beside streamlit-ace; why, says ace.py. Both are served from the same address, so its frame can be reached.
const EVERY_MS = 300;
const LINE = "1.4";

export default function ({ data, setTriggerValue }) {
  const attach = () => {
    const frame = document.querySelector(`.st-key-${data.scope} iframe`);
    const inner = frame?.contentWindow;
    const editor = inner?.document?.querySelector(".ace_editor")?.env?.editor;
    if (!editor) return;
    frame.title = data.label;
    if (inner.document.body.style.margin !== "0px") {
      inner.document.body.style.margin = "0px"; // the frame's own border is the editor's edge
      editor.resize();
    }
    if (editor.container.style.lineHeight !== LINE) {
      editor.container.style.lineHeight = LINE; // in Ace's own, some fonts' underscores fall under the next line
      editor.renderer.updateFontSize();
    }
    inner.document.documentElement.style.colorScheme = data.dark ? "dark" : "light"; // of the scroll bars
    if (inner.codecoach) inner.codecoach.run = () => setTriggerValue("run", Date.now());
    else inner.codecoach = link(inner, editor, () => setTriggerValue("run", Date.now()));
  };
  attach();
  const timer = setInterval(attach, EVERY_MS); // the frame loads late, and is a new one for each file
  return () => clearInterval(timer);
}

function link(inner, editor, run) {
  const state = { run, reported: editor.getValue() };
  const report = () => {
    const value = editor.getValue();
    if (value === state.reported) return;
    state.reported = value;
    // The message the frame itself would post 200 ms after the last key, delivered at once.
    const message = { isStreamlitMessage: true, type: "streamlit:setComponentValue", value, dataType: "json" };
    window.dispatchEvent(new MessageEvent("message", { source: inner, data: message }));
  };
  editor.setOptions({ enableLiveAutocompletion: false });
  inner.addEventListener("blur", report);
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      report();
      state.run();
    } else if (event.key === "Escape" && !editor.completer?.popup?.isOpen && !editor.searchBox?.active) {
      editor.blur();
      inner.frameElement.blur();
    }
  };
  inner.document.addEventListener("keydown", keys, true); // before the editor's own bindings
  return state;
}
