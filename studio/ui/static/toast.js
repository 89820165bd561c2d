// One line to the person, for as long as it takes to read.

export function toast(text, kind = "fault") {
  const place = document.getElementById("toasts");
  if (!place) return;
  const line = document.createElement("div");
  line.className = `toast ${kind}`;
  line.textContent = text;
  place.append(line);
  setTimeout(() => line.remove(), Math.min(9000, 2500 + text.length * 45));
}

// Run a change; what goes wrong is said, not thrown.
export async function tell(work) {
  try {
    return await work();
  } catch (error) {
    toast(error.message);
    return null;
  }
}
