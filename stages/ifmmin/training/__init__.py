"""Room of optimisation: what turns a network and a fold into trained weights and a history."""
