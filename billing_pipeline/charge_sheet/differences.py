"""Where other products reckon differently: the end of the sheet."""

DIFFERENCES = """## Where other products differ

Our tests hold results that Stripe, OpenMeter, Lago, Orb and Metronome publish. Where our rules are others:

- Lago ends free events and the free amount together, at whichever is used up first, and a free event pays no
  percentage either; here each ends by itself.
- Lago's first example of proration halves a fee for a plan that starts on the 15th of April; here it is 16 days of
  30.
- Lago prorates each seat of a recurring metric by the days it was held; here a meter with `time_weighted_sum`
  measures that.
- OpenMeter and Stripe can round packages down, and OpenMeter prices tiers by packages; here packages are rounded up,
  and tiers are of units.
- OpenMeter takes more credit than there is to pay for an error; here the rest stays in the grant.
- Orb spreads a discount, minimum or maximum over the lines it is about; here it is a line of its own.
- Orb and Metronome use up credits of a narrow scope, and free ones, before others; here priority decides, then
  expiry, then the order in which they were made.
- Metronome can roll over what is left of a commit; here a grant ends when it expires.
- Stripe and Lago pay back the unused rest of a fee and charge the new one; here each plan's fee is for the seconds it
  was in force, which comes to the same sum.
"""
