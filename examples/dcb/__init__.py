"""The examples of https://dcb.events/examples/, each as a small app: rules that cross the borders of entities."""
